// The kit in C++, by the headers that a user has.
#include <cstdio>

#include <tenure/testkit.hpp>

static int n = 0, failed = 0;

static void check(bool good, const char *what)
{
    std::printf("%sok %d - %s\n", good ? "" : "not ", ++n, what);
    failed += !good;
}

int main()
{
    using namespace std::chrono_literals;
    std::printf("1..5\n");
    tenure::testkit kit;
    tenure::client a = kit.client(), b = kit.client();
    a.put("k", "1");
    check(b.get("k") == "1", "one client reads what another one wrote");
    bool lost = false;
    {
        tenure_lock_options o = {};
        o.size = sizeof o;
        o.ttl_s = 10;
        o.on_lost = [](tenure_lock *, const tenure_error *, void *user) { *static_cast<bool *>(user) = true; };
        o.user = &lost;
        tenure::lock held(a, "x", &o);
        kit.advance(1h);
        check(held.held(), "a lock is held for an hour");
        tenure_testkit_partition(kit.get(), a.get());
        check(kit.run_until([&] { return lost; }, 60s) && !held.held(), "and lost without a network");
        check(kit.now() >= 1h && kit.now() < 61min, "on the kit's clock");
        tenure_testkit_heal(kit.get(), a.get());
        kit.advance(60s);
    }
    try {
        a.get("");
        check(false, "an error is thrown");
    } catch (const tenure::error &e) {
        check(e.code() == TENURE_EINVALID, "an error is thrown");
    }
    return failed != 0;
}
