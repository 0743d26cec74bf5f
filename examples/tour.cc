// C++: a key, a transaction, a watch, a lock and an election, each ending with its scope.
//
//     c++ -std=c++17 tour.cc $(pkg-config --cflags --libs libtenure)
#include <cstdio>
#include <future>

#include <tenure/tenure.hpp>

static void tour(tenure::client &c)
{
    std::promise<std::string> seen;
    std::int64_t begin = c.put("tour/begin", "");
    auto on_events = [&, told = false](std::int64_t, const tenure_event *events, std::size_t) mutable {
        if (!std::exchange(told, true))
            seen.set_value(std::string(tenure::view(events[0].kv.key)));
    };
    tenure::watch w(c, "tour/a", false, {on_events, nullptr}, begin + 1);
    c.put("tour/a", "1");
    std::printf("watched: %s\n", seen.get_future().get().c_str());

    tenure::lock l(c, "tour", std::chrono::seconds(5));
    tenure_txn_outcome outcome = tenure::txn(c).if_holds(l).then_put("tour/guarded", "by the lock").commit();
    std::printf("guarded: %s\n", outcome == TENURE_TXN_SUCCEEDED ? "written" : "refused");
    tenure::token token = l.fencing_token();
    l.unlock();

    std::promise<tenure::token> gained;
    tenure::election e(c, "tour", "me", {[&](tenure::token t) { gained.set_value(t); }, nullptr, nullptr});
    std::printf("leads: %s\n", gained.get_future().get() > token && e.leads() ? "with a greater token" : "no");
}

static void gives_up(tenure::client &c)
{
    tenure::lock l(c, "tour/held", std::chrono::seconds(5));
    tenure::scope s, inner(s, std::chrono::minutes(1));
    tenure::scope::use in(inner);
    std::future<void> other = std::async(std::launch::async, [&] { s.cancel(); });
    try {
        tenure::lock same(c, "tour/held");
    } catch (const tenure::error &e) {
        std::printf("given up: %s\n", e.code() == TENURE_ECANCELLED && inner.over() ? "yes" : e.what());
    }
}

int main(int argc, char **argv)
{
    try {
        tenure::client c(argc > 1 ? argv[1] : nullptr);
        tour(c);
        gives_up(c);
        std::printf("keys: %zu\n", c.get_prefix("tour/").size());
        return c.get("tour/nothing") ? 1 : 0;
    } catch (const tenure::error &e) {
        std::fprintf(stderr, "tour: %s\n", e.what());
        return 1;
    }
}
