// C++: a service that registers, reads its configuration, finds its kind, shares a value, and leads under a fence.
//
//     c++ -std=c++17 service.cc $(pkg-config --cflags --libs libtenure)
#include <cstdio>

#include <tenure/tenure.hpp>

static void serve(const char *endpoints)
{
    tenure_node_options o = {};
    o.size = sizeof o;
    o.service = "cellar";
    o.instance = "c-1";
    tenure::node n(endpoints, &o);
    tenure::config v = n.config();
    tenure::service me = n.register_at("10.0.0.9", 8080);
    std::printf("configured: %lld at a time, %s\n", static_cast<long long>(v.integer("cellar/limit", 50)),
                v.text("cellar/name", "no name").c_str());
    std::printf("picked: %s\n", n.pick("cellar")->endpoint);

    tenure::fence bottles("bottles");
    int led = n.lead(nullptr, [&](tenure_election *, tenure::token t) {
        return n.lock("door", std::chrono::seconds(5), [&](tenure_lock *) {
            tenure::fence::inside in(bottles, t);
            return 7;
        });
    });
    std::printf("led: %d, under a token: %s\n", led, bottles.seen() > 0 ? "yes" : "no");
    try {
        tenure::fence::inside in(bottles, tenure::parse_token("1"));
    } catch (const tenure::error &e) {
        std::printf("a zombie: %s\n", e.code() == TENURE_EFENCED ? "refused" : e.what());
    }
}

static void share(const char *endpoints)
{
    tenure::client c(endpoints);
    tenure::value v(c, "cellar/bottles");
    v.set("6");
    tenure::value_state is = v.update(
        [](const tenure_value_state &s) { return std::to_string(std::stoi(std::string(tenure::view(s.value))) - 1); });
    std::printf("left: %s\n", std::string(tenure::view(is->value)).c_str());
    bool stale = v.compare_and_set(is->mod_revision - 1, "9");
    std::printf("a stale write: %s\n", stale ? "written" : "refused");
    tenure::service a(c, "cask", "k-1", "10.0.0.1", 80), b(c, "cask", "k-2", "10.0.0.2", 80);
    b.set_draining(true);
    b.await();
    tenure::service_view casks(c, "cask");
    tenure::picker next(casks);
    std::printf("%zu casks, picked: %s\n", tenure::discover(c, "cask")->n, next()->name);
}

int main(int argc, char **argv)
{
    try {
        serve(argc > 1 ? argv[1] : nullptr);
        share(argc > 1 ? argv[1] : nullptr);
        return 0;
    } catch (const tenure::error &e) {
        std::fprintf(stderr, "service: %s\n", e.what());
        return 1;
    }
}
