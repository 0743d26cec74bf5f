/* The test kit for C++17: see testkit.h, which says what everything means. Header only; errors are thrown as tenure::error.
 *
 *     tenure::testkit kit;
 *     tenure::client a = kit.client(), b = kit.client();
 *     tenure::lock held(a, "order-123");
 *     kit.advance(std::chrono::hours(1));
 *     tenure_testkit_partition(kit.get(), a.get());
 *
 * Clients and what hangs on them end before their kit. The handle's functions that block move the kit's world.
 */
#ifndef TENURE_TESTKIT_HPP
#define TENURE_TESTKIT_HPP

#include <tenure/tenure.hpp>
#include <tenure/testkit.h>

namespace tenure
{

/* A server, a network, a disk and a clock. */
class testkit
{
  public:
    explicit testkit(const tenure_testkit_options *options = nullptr)
    {
        tenure_error e = {};
        kit_.reset(detail::made(tenure_testkit_new(options, &e), e));
    }

    tenure_testkit *get() const noexcept
    {
        return kit_.get();
    }

    /* A client's process. */
    tenure::client client(const tenure_options *options = nullptr) const
    {
        tenure_error e = {};
        return tenure::client::adopt(detail::made(tenure_testkit_client(kit_.get(), options, &e), e));
    }

    /* What is due now; false: it comes to no end. */
    bool run() const noexcept
    {
        return tenure_testkit_run(kit_.get()) == 0;
    }

    /* The same for each moment of the next ms. */
    void advance(milliseconds ms) const noexcept
    {
        tenure_testkit_advance(kit_.get(), ms.count());
    }

    /* Until is_so() answers true; false: it was not so within `most`. */
    template <typename F> bool run_until(F is_so, milliseconds most) const
    {
        return tenure_testkit_run_until(
                   kit_.get(), [](void *f) -> bool { return (*static_cast<F *>(f))(); }, &is_so, most.count()) == 0;
    }

    /* Since the kit was made. */
    milliseconds now() const noexcept
    {
        return milliseconds(tenure_testkit_now_ms(kit_.get()));
    }

  private:
    detail::owned<tenure_testkit, tenure_testkit_free> kit_;
};

} // namespace tenure

#endif
