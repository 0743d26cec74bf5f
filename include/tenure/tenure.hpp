/* RAII over libtenure for C++17: handles, locks, elections, watches, values, configuration, services, nodes and results that end with
 * their scope. Header only; errors
 * are thrown as tenure::error; everything else is as the C headers say. Blocking handles.
 *
 *     tenure::client c("http://10.0.0.1:2379");
 *     c.put("config/a", "1");
 *     std::optional<std::string> a = c.get("config/a");
 *     {
 *         tenure::lock l(c, "order-123", std::chrono::seconds(5));
 *         while (l.held() && more())
 *             write_row(l.fencing_token());
 *     }   // released
 *
 * What wraps a C object can be moved, not copied, and must not outlive its client. get() is the C object, for calls that have no
 * wrapper here; it stays the wrapper's.
 */
#ifndef TENURE_TENURE_HPP
#define TENURE_TENURE_HPP

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tenure/tenure.h>

namespace tenure
{

using token = std::int64_t;
using milliseconds = std::chrono::milliseconds;

/* What a call failed with. what() is the sentence for a person. */
class error : public std::runtime_error
{
  public:
    explicit error(const tenure_error &e) : std::runtime_error(e.text), error_(e)
    {
    }
    /* A TENURE_E… code. */
    int code() const noexcept
    {
        return error_.code;
    }
    /* What a caller can do about it. */
    tenure_kind kind() const noexcept
    {
        return error_.kind;
    }
    /* Of a failed write: whether it took effect. */
    tenure_applied applied() const noexcept
    {
        return error_.applied;
    }
    const tenure_error &get() const noexcept
    {
        return error_;
    }

  private:
    tenure_error error_;
};

/* Throws when rc says that a call failed. */
inline void check(int rc, const tenure_error &e)
{
    if (rc < 0)
        throw error(e);
}

inline tenure_bytes bytes(std::string_view s) noexcept
{
    return {s.data(), s.size()};
}

inline std::string_view view(const tenure_bytes &b) noexcept
{
    return {static_cast<const char *>(b.data), b.len};
}

namespace detail
{
template <typename T, void (*Free)(T *)> struct freer {
    void operator()(T *object) const noexcept
    {
        Free(object);
    }
};
template <typename T, void (*Free)(T *)> using owned = std::unique_ptr<T, freer<T, Free>>;

template <typename T> T *made(T *object, const tenure_error &e)
{
    if (!object)
        throw error(e);
    return object;
}
} // namespace detail

using get_result = detail::owned<tenure_get_result, tenure_get_free>;
using txn_result = detail::owned<tenure_txn_result, tenure_txn_result_free>;
using lock_list = detail::owned<struct ::tenure_lock_list, tenure_lock_list_free>;

/* One key as it stood. */
struct key_value {
    std::string key, value;
    std::int64_t create_revision, mod_revision, version, lease;

    explicit key_value(const tenure_kv &kv)
        : key(view(kv.key)), value(view(kv.value)), create_revision(kv.create_revision), mod_revision(kv.mod_revision),
          version(kv.version), lease(kv.lease)
    {
    }
};

/* A blocking handle, closed with its scope: what is held is released, bounded by close_timeout_ms. */
class client
{
  public:
    /* endpoints as of tenure_open; nullptr = the environment's, else the default. */
    explicit client(const char *endpoints = nullptr, const tenure_options *options = nullptr)
    {
        tenure_error e = {};
        client_.reset(detail::made(tenure_open(endpoints, options, &e), e));
    }

    /* Takes a handle that was made in another way, not NULL: the test kit's (testkit.hpp), on which these functions block too. */
    static client adopt(tenure_client *handle) noexcept
    {
        return client(detail::owned<tenure_client, tenure_close>(handle));
    }

    tenure_client *get() const noexcept
    {
        return client_.get();
    }

    /* The value of a key, or nothing. */
    std::optional<std::string> get(std::string_view key) const
    {
        get_result r = range(key, nullptr);
        if (r->n_kvs == 0)
            return std::nullopt;
        return std::string(view(r->kvs[0].value));
    }

    /* All keys that begin with prefix, in order. */
    std::vector<key_value> get_prefix(std::string_view prefix) const
    {
        tenure_get_options o = {};
        o.size = sizeof o;
        o.prefix = true;
        get_result r = range(prefix, &o);
        return {r->kvs, r->kvs + r->n_kvs};
    }

    /* tenure_get with all its options. */
    get_result range(std::string_view key, const tenure_get_options *options) const
    {
        tenure_error e = {};
        tenure_get_result *r = nullptr;
        check(tenure_get(client_.get(), bytes(key), options, &r, &e), e);
        return get_result(r);
    }

    /* The revision at which it was written. */
    std::int64_t put(std::string_view key, std::string_view value, std::int64_t lease = 0) const
    {
        tenure_error e = {};
        tenure_put_options o = {};
        tenure_put_result *r = nullptr;
        o.size = sizeof o;
        o.lease = lease;
        check(tenure_put(client_.get(), bytes(key), bytes(value), &o, &r, &e), e);
        detail::owned<tenure_put_result, tenure_put_free> owned(r);
        return r->revision;
    }

    /* Whether the key was there. */
    bool del(std::string_view key) const
    {
        tenure_error e = {};
        tenure_delete_result *r = nullptr;
        check(tenure_delete(client_.get(), bytes(key), nullptr, &r, &e), e);
        detail::owned<tenure_delete_result, tenure_delete_free> owned(r);
        return r->deleted > 0;
    }

  private:
    explicit client(detail::owned<tenure_client, tenure_close> handle) noexcept : client_(std::move(handle))
    {
    }

    detail::owned<tenure_client, tenure_close> client_;
};

/* A lock, held from the constructor's end until the scope's, or until it is lost: ask held(). */
class lock
{
  public:
    /* Waits without end. Throws TENURE_E… as tenure_lock_acquire. */
    lock(const client &c, const char *name) : lock(c, name, nullptr)
    {
    }
    /* Waits at most so long (0: does not wait, TENURE_EBUSY). */
    lock(const client &c, const char *name, milliseconds wait)
    {
        tenure_lock_options o = {};
        o.size = sizeof o;
        o.wait_ms = wait.count() > 0 ? wait.count() : -1;
        acquire(c, name, &o);
    }
    lock(const client &c, const char *name, const tenure_lock_options *options)
    {
        acquire(c, name, options);
    }
    lock(lock &&other) noexcept : lock_(std::exchange(other.lock_, nullptr))
    {
    }
    lock &operator=(lock &&other) noexcept
    {
        std::swap(lock_, other.lock_);
        return *this;
    }
    ~lock()
    {
        tenure_unlock(lock_, nullptr);
    }

    /* True only while nobody else can hold it. No I/O; any thread. */
    bool held() const noexcept
    {
        return lock_ && tenure_lock_held(lock_);
    }
    explicit operator bool() const noexcept
    {
        return held();
    }
    token fencing_token() const noexcept
    {
        return lock_ ? tenure_lock_token(lock_) : 0;
    }
    milliseconds remaining() const noexcept
    {
        return milliseconds(lock_ ? tenure_lock_remaining_ms(lock_) : 0);
    }
    std::string key() const
    {
        return lock_ ? tenure_lock_key(lock_) : "";
    }
    /* Releases now; throws when it had been lost, or is not known to be free. */
    void unlock()
    {
        tenure_error e = {};
        check(tenure_unlock(std::exchange(lock_, nullptr), &e), e);
    }
    tenure_lock *get() const noexcept
    {
        return lock_;
    }

  private:
    void acquire(const client &c, const char *name, const tenure_lock_options *options)
    {
        tenure_error e = {};
        lock_ = detail::made(tenure_lock_acquire(c.get(), name, options, &e), e);
    }

    tenure_lock *lock_ = nullptr;
};

/* A candidacy: campaigns from the constructor on, again after each loss, until the scope's end, which resigns. The functions
 * run on the handle's thread and must not throw. */
class election
{
  public:
    struct callbacks {
        std::function<void(token)> gained;
        std::function<void(tenure_loss)> lost;
        std::function<void(int code)> stopped;
    };

    election(const client &c, const char *name, std::string_view proposal, callbacks functions,
             std::chrono::seconds ttl = std::chrono::seconds(0))
        : functions_(std::make_unique<callbacks>(std::move(functions)))
    {
        tenure_error e = {};
        tenure_election_options o = {};
        o.size = sizeof o;
        o.proposal = bytes(proposal);
        o.ttl_s = ttl.count();
        o.on_gained = [](tenure_election *, tenure_token t, void *user) { call(of(user).gained, t); };
        o.on_lost = [](tenure_election *, tenure_loss why, void *user) { call(of(user).lost, why); };
        o.on_stopped = [](tenure_election *, int code, const tenure_error *, void *user) {
            call(of(user).stopped, code);
        };
        o.user = functions_.get();
        election_.reset(detail::made(tenure_election_start(c.get(), name, &o, &e), e));
    }

    /* True only while nobody else can lead. No I/O; any thread. */
    bool leads() const noexcept
    {
        return tenure_election_leads(election_.get());
    }
    token fencing_token() const noexcept
    {
        return tenure_election_token(election_.get());
    }
    milliseconds remaining() const noexcept
    {
        return milliseconds(tenure_election_remaining_ms(election_.get()));
    }
    void proclaim(std::string_view proposal)
    {
        tenure_error e = {};
        check(tenure_election_proclaim(election_.get(), bytes(proposal), &e), e);
    }
    tenure_election *get() const noexcept
    {
        return election_.get();
    }

  private:
    static const callbacks &of(void *user) noexcept
    {
        return *static_cast<const callbacks *>(user);
    }
    template <typename F, typename A> static void call(const F &function, A argument)
    {
        if (function)
            function(argument);
    }

    std::unique_ptr<callbacks> functions_; /* freed after the election */
    detail::owned<tenure_election, tenure_election_stop> election_;
};

/* A watch of a key or a prefix, from its constructor to its scope's end. The functions run on the handle's thread and must not
 * throw. */
class watch
{
  public:
    struct callbacks {
        /* Whole revisions, in order, each once; borrowed for the call. */
        std::function<void(std::int64_t revision, const tenure_event *events, std::size_t n)> events;
        /* It ended by itself; compact_revision: where to read again from, when its past was compacted. */
        std::function<void(int code, std::int64_t compact_revision)> end;
    };

    /* revision: the first wanted; 0 = from now on. */
    watch(const client &c, std::string_view key, bool prefix, callbacks functions, std::int64_t revision = 0)
        : functions_(std::make_unique<callbacks>(std::move(functions)))
    {
        tenure_error e = {};
        tenure_watch_options o = {};
        o.size = sizeof o;
        o.prefix = prefix;
        o.revision = revision;
        o.on_events = [](void *user, std::int64_t at, const tenure_event *events, std::size_t n) {
            if (n > 0 && of(user).events)
                of(user).events(at, events, n);
        };
        o.on_end = [](void *user, int code, std::int64_t compact_revision, const tenure_error *) {
            if (of(user).end)
                of(user).end(code, compact_revision);
        };
        o.user = functions_.get();
        watch_.reset(detail::made(tenure_watch_start(c.get(), bytes(key), &o, &e), e));
    }
    tenure_watch *get() const noexcept
    {
        return watch_.get();
    }

  private:
    static const callbacks &of(void *user) noexcept
    {
        return *static_cast<const callbacks *>(user);
    }

    std::unique_ptr<callbacks> functions_; /* freed after the watch */
    detail::owned<tenure_watch, tenure_watch_stop> watch_;
};

/* What the calls of a block have in common: cancelled together, from any thread, and over by a deadline. The calls that this
 * thread begins between `use` and its end belong to it.
 *
 *     tenure::scope s(std::chrono::seconds(2));
 *     {
 *         tenure::scope::use in(s);
 *         c.put("a", "1");
 *     }
 */
class scope
{
  public:
    explicit scope(milliseconds timeout = milliseconds(0)) : scope_(make(timeout, nullptr))
    {
    }
    /* Ends with parent, at the latest. */
    explicit scope(const scope &parent, milliseconds timeout) : scope_(make(timeout, parent.get()))
    {
    }
    /* With all that a scope can have: a trace (trace.h), say. options.size need not be set. */
    explicit scope(const tenure_scope_options &options) : scope_(make(options))
    {
    }
    /* Any thread. */
    void cancel() noexcept
    {
        tenure_scope_cancel(scope_.get());
    }
    /* Whether a call that begins now would fail. */
    bool over() const noexcept
    {
        return tenure_scope_code(scope_.get()) != 0;
    }
    tenure_scope *get() const noexcept
    {
        return scope_.get();
    }

    /* In use by this thread as long as it lives. */
    class use
    {
      public:
        explicit use(const scope &s) noexcept : before_(tenure_scope_use(s.get()))
        {
        }
        ~use()
        {
            tenure_scope_use(before_);
        }
        use(const use &) = delete;
        use &operator=(const use &) = delete;

      private:
        tenure_scope *before_;
    };

  private:
    static tenure_scope *make(milliseconds timeout, tenure_scope *parent)
    {
        tenure_scope_options o = {};
        o.timeout_ms = timeout.count();
        o.parent = parent;
        return make(o);
    }
    static tenure_scope *make(tenure_scope_options o)
    {
        tenure_error e = {};
        o.size = sizeof o;
        return detail::made(tenure_scope_new(&o, &e), e);
    }
    detail::owned<tenure_scope, tenure_scope_free> scope_;
};

/* A transaction: txn(c).if_version("a", TENURE_EQ, 0).then_put("a", "1").commit() */
class txn
{
  public:
    explicit txn(const client &c) : txn_(tenure_txn_new(c.get()))
    {
    }
    txn &if_version(std::string_view key, tenure_cmp cmp, std::int64_t version)
    {
        tenure_if_version(txn_.get(), bytes(key), cmp, version);
        return *this;
    }
    txn &if_create_revision(std::string_view key, tenure_cmp cmp, std::int64_t revision)
    {
        tenure_if_create_revision(txn_.get(), bytes(key), cmp, revision);
        return *this;
    }
    txn &if_mod_revision(std::string_view key, tenure_cmp cmp, std::int64_t revision)
    {
        tenure_if_mod_revision(txn_.get(), bytes(key), cmp, revision);
        return *this;
    }
    txn &if_value(std::string_view key, tenure_cmp cmp, std::string_view value)
    {
        tenure_if_value(txn_.get(), bytes(key), cmp, bytes(value));
        return *this;
    }
    /* Only while the lock stands at the server: the guard of writes into the same store. */
    txn &if_holds(const lock &l)
    {
        return if_create_revision(l.key(), TENURE_EQ, l.fencing_token());
    }
    txn &then_put(std::string_view key, std::string_view value, std::int64_t lease = 0)
    {
        tenure_then_put(txn_.get(), bytes(key), bytes(value), lease);
        return *this;
    }
    txn &then_get(std::string_view key, const tenure_get_options *options = nullptr)
    {
        tenure_then_get(txn_.get(), bytes(key), options);
        return *this;
    }
    txn &then_delete(std::string_view key, const tenure_delete_options *options = nullptr)
    {
        tenure_then_delete(txn_.get(), bytes(key), options);
        return *this;
    }
    txn &else_put(std::string_view key, std::string_view value, std::int64_t lease = 0)
    {
        tenure_else_put(txn_.get(), bytes(key), bytes(value), lease);
        return *this;
    }
    txn &else_get(std::string_view key, const tenure_get_options *options = nullptr)
    {
        tenure_else_get(txn_.get(), bytes(key), options);
        return *this;
    }
    txn &else_delete(std::string_view key, const tenure_delete_options *options = nullptr)
    {
        tenure_else_delete(txn_.get(), bytes(key), options);
        return *this;
    }
    tenure_txn *get() const noexcept
    {
        return txn_.get();
    }

    /* Which branch was taken; the answers in ret. Throws for neither outcome. */
    tenure_txn_outcome commit(txn_result *ret = nullptr, milliseconds timeout = milliseconds(0))
    {
        tenure_error e = {};
        tenure_txn_result *r = nullptr;
        check(tenure_txn_commit(txn_.get(), timeout.count(), &r, &e), e);
        txn_result owned(r);
        tenure_txn_outcome outcome = r->outcome;
        if (ret)
            *ret = std::move(owned);
        return outcome;
    }

  private:
    detail::owned<tenure_txn, tenure_txn_free> txn_;
};

/* ---- functions that are called back and may throw: what they threw comes out of the call that led to them ---- */

namespace detail
{
template <typename F> struct guarded {
    F &function;
    std::exception_ptr thrown = nullptr;

    template <typename... A> int operator()(A... arguments) noexcept
    {
        thrown = nullptr; /* of a run before a loss, after which it runs again */
        try {
            return function(arguments...);
        } catch (...) {
            thrown = std::current_exception();
            return TENURE_ECANCELLED;
        }
    }
    /* Behind the call: what the last run threw. */
    void rethrow() const
    {
        if (thrown)
            std::rethrow_exception(thrown);
    }
};
} // namespace detail

/* ---- shared values (value.h) ---- */

using value_state = detail::owned<struct ::tenure_value_state, tenure_value_state_free>;

/* A key with a copy of it in memory that says how old it may be. */
class value
{
  public:
    /* The function runs on the handle's thread and must not throw. */
    using changed = std::function<void(const tenure_value_state &)>;

    value(const client &c, std::string_view key, changed function = nullptr)
        : function_(std::make_unique<changed>(std::move(function)))
    {
        tenure_error e = {};
        tenure_value_options o = {};
        o.size = sizeof o;
        o.on_change = [](tenure_value *, const tenure_value_state *state, void *user) {
            const changed &f = *static_cast<const changed *>(user);
            if (f)
                f(*state);
        };
        o.user = function_.get();
        value_.reset(detail::made(tenure_value_open(c.get(), bytes(key), &o, &e), e));
    }
    /* From memory, whatever its age; throws TENURE_EUNAVAILABLE while there is nothing yet. */
    value_state cached() const
    {
        return call([&](tenure_value_state **ret, tenure_error *e) { return tenure_value_cached(get(), ret, e); });
    }
    /* At most so old; 0: however old, as soon as there is one. */
    value_state read(milliseconds max_stale = milliseconds(0)) const
    {
        tenure_value_get_options o = {};
        o.size = sizeof o;
        o.max_stale_ms = max_stale.count();
        return read(o);
    }
    value_state read(const tenure_value_get_options &options) const
    {
        return call(
            [&](tenure_value_state **ret, tenure_error *e) { return tenure_value_get(get(), &options, ret, e); });
    }
    value_state set(std::string_view to) const
    {
        return call([&](tenure_value_state **ret, tenure_error *e) {
            return tenure_value_set(get(), bytes(to), nullptr, ret, e);
        });
    }
    /* Whether its mod_revision was this one (0: it did not exist), and it was written; what it is now in ret. */
    bool compare_and_set(std::int64_t mod_revision, std::string_view to, value_state *ret = nullptr) const
    {
        tenure_error e = {};
        tenure_value_state *now = nullptr;
        int rc = tenure_value_cas(get(), mod_revision, bytes(to), nullptr, &now, &e);
        value_state owned(now);
        if (rc != TENURE_ECONFLICT)
            check(rc, e);
        if (ret)
            *ret = std::move(owned);
        return rc == 0;
    }
    /* f(const tenure_value_state &) -> std::string: what is to be there. On the handle's thread, again when somebody was faster; what it
     * throws comes from here, and nothing was written. */
    template <typename F> value_state update(F f) const
    {
        std::string shall;
        auto body = [&](const tenure_value_state *is, tenure_bytes *ret) {
            shall = f(*is);
            *ret = bytes(shall);
            return static_cast<int>(TENURE_VALUE_PUT);
        };
        detail::guarded<decltype(body)> g{body};
        auto run = [](const tenure_value_state *is, tenure_bytes *ret, void *arg) {
            return (*static_cast<detail::guarded<decltype(body)> *>(arg))(is, ret);
        };
        tenure_error e = {};
        tenure_value_state *now = nullptr;
        int rc = tenure_value_update(get(), run, &g, nullptr, &now, &e);
        value_state owned(now);
        g.rethrow();
        check(rc, e);
        return owned;
    }
    tenure_value *get() const noexcept
    {
        return value_.get();
    }

  private:
    template <typename F> static value_state call(F f)
    {
        tenure_error e = {};
        tenure_value_state *state = nullptr;
        check(f(&state, &e), e);
        return value_state(state);
    }

    std::unique_ptr<changed> function_; /* freed after the value */
    detail::owned<tenure_value, tenure_value_close> value_;
};

/* ---- configuration (config.h) ---- */

using config_list = detail::owned<struct ::tenure_config_list, tenure_config_list_free>;

/* A view of all keys that begin with a text: typed, followed until its scope's end. A value that is not of the type throws; where there
 * is none the fallback is answered. */
class config
{
  public:
    /* Each state, the first one too, in order; on the handle's thread, must not throw. */
    using changed = std::function<void(std::int64_t revision, const tenure_config_change *changes, std::size_t n)>;

    /* options: on_change and user are this class's own. */
    config(const client &c, const char *keys, changed function = nullptr,
           const tenure_config_options *options = nullptr)
        : function_(std::make_unique<changed>(std::move(function)))
    {
        tenure_error e = {};
        tenure_config_options o = options ? *options : tenure_config_options{};
        o.size = sizeof o;
        o.on_change = on_change;
        o.user = function_.get();
        config_.reset(detail::made(tenure_config_open(c.get(), keys, &o, &e), e));
    }
    std::string text(const char *key, const char *fallback = "") const
    {
        tenure_error e = {};
        std::unique_ptr<char, void (*)(void *)> got(tenure_config_string(get(), key, fallback, &e), std::free);
        check(e.code, e);
        return got.get();
    }
    std::int64_t integer(const char *key, std::int64_t fallback = 0) const
    {
        return typed(tenure_config_int, key, fallback);
    }
    double number(const char *key, double fallback = 0) const
    {
        return typed(tenure_config_float, key, fallback);
    }
    bool flag(const char *key, bool fallback = false) const
    {
        return typed(tenure_config_bool, key, fallback);
    }
    milliseconds duration(const char *key, milliseconds fallback) const
    {
        return milliseconds(typed(tenure_config_duration_ms, key, static_cast<std::int64_t>(fallback.count())));
    }
    std::int64_t size_bytes(const char *key, std::int64_t fallback) const
    {
        return typed(tenure_config_size_bytes, key, fallback);
    }
    config_list list() const
    {
        return config_list(tenure_config_list(get()));
    }
    enum ::tenure_config_state state() const noexcept
    {
        return tenure_config_state(get());
    }
    std::int64_t revision() const noexcept
    {
        return tenure_config_revision(get());
    }
    tenure_config *get() const noexcept
    {
        return config_.get();
    }

  private:
    friend class node;

    explicit config(changed function) : function_(std::make_unique<changed>(std::move(function)))
    {
    }
    static void on_change(tenure_config *, std::int64_t revision, const tenure_config_change *changes, std::size_t n,
                          void *user)
    {
        const changed &f = *static_cast<const changed *>(user);
        if (f)
            f(revision, changes, n);
    }
    template <typename T>
    T typed(T (*read)(tenure_config *, const char *, T, tenure_error *), const char *key, T fallback) const
    {
        tenure_error e = {};
        T got = read(get(), key, fallback, &e);
        check(e.code, e);
        return got;
    }

    std::unique_ptr<changed> function_; /* freed after the view */
    detail::owned<tenure_config, tenure_config_close> config_;
};

/* ---- services (registry.h, picker.h) ---- */

using instances = detail::owned<struct ::tenure_instances, tenure_instances_free>;
/* An instance that is in use until the end of its scope. */
using pick = detail::owned<const struct ::tenure_instance, tenure_pick_done>;

/* Who is there now. */
inline instances discover(const client &c, const char *service, const tenure_discover_options *options = nullptr)
{
    tenure_error e = {};
    return instances(detail::made(tenure_discover(c.get(), service, options, &e), e));
}

/* A registration that heals; taken back at its scope's end. */
class service
{
  public:
    service(const client &c, const char *name, const char *instance, const char *address, std::int32_t port,
            const tenure_service_options *options = nullptr)
    {
        tenure_error e = {};
        service_.reset(detail::made(tenure_register(c.get(), name, instance, address, port, options, &e), e));
    }
    bool stands() const noexcept
    {
        return tenure_service_stands(get());
    }
    /* Until it stands with what was set last. */
    void await(milliseconds timeout = milliseconds(0)) const
    {
        tenure_error e = {};
        check(tenure_service_await(get(), timeout.count(), &e), e);
    }
    void set_health(enum ::tenure_health health) const
    {
        tenure_error e = {};
        check(tenure_service_set_health(get(), health, &e), e);
    }
    void set_draining(bool draining) const
    {
        tenure_error e = {};
        check(tenure_service_set_draining(get(), draining, &e), e);
    }
    void set_weight(std::int32_t weight) const
    {
        tenure_error e = {};
        check(tenure_service_set_weight(get(), weight, &e), e);
    }
    tenure_service *get() const noexcept
    {
        return service_.get();
    }

  private:
    friend class node;

    explicit service(tenure_service *s) noexcept : service_(s)
    {
    }
    detail::owned<tenure_service, tenure_service_stop> service_;
};

/* A live copy of a service's instances; its constructor waits for the first list. */
class service_view
{
  public:
    service_view(const client &c, const char *service, const tenure_service_view_options *options = nullptr)
    {
        tenure_error e = {};
        view_.reset(detail::made(tenure_service_view_start(c.get(), service, options, &e), e));
        check(tenure_service_view_await(view_.get(), 0, &e), e);
    }
    instances list() const
    {
        tenure_error e = {};
        return instances(detail::made(tenure_service_view_list(get(), &e), e));
    }
    milliseconds staleness() const noexcept
    {
        return milliseconds(tenure_service_view_staleness_ms(get()));
    }
    tenure_service_view *get() const noexcept
    {
        return view_.get();
    }

  private:
    detail::owned<tenure_service_view, tenure_service_view_stop> view_;
};

/* Chooses among a view's instances, without I/O. */
class picker
{
  public:
    explicit picker(const service_view &v, tenure_policy policy = TENURE_PICK_ROUND_ROBIN)
    {
        tenure_picker_options o = {};
        o.policy = policy;
        make(v, o);
    }
    /* options.size need not be set. */
    picker(const service_view &v, const tenure_picker_options &options)
    {
        make(v, options);
    }
    /* Throws TENURE_ENOTFOUND when none serves. */
    pick operator()(std::string_view key = "") const
    {
        tenure_error e = {};
        return pick(detail::made(tenure_pick(get(), bytes(key), &e), e));
    }
    tenure_picker *get() const noexcept
    {
        return picker_.get();
    }

  private:
    void make(const service_view &v, tenure_picker_options o)
    {
        tenure_error e = {};
        o.size = sizeof o;
        picker_.reset(detail::made(tenure_picker_new(v.get(), &o, &e), e));
    }
    detail::owned<tenure_picker, tenure_picker_free> picker_;
};

/* ---- fencing (fence.h) ---- */

/* The token in a request's header; throws TENURE_EINVALID when it is none. */
inline token parse_token(std::string_view header)
{
    tenure_error e = {};
    token t = 0;
    check(tenure_token_parse(bytes(header), &t, &e), e);
    return t;
}

/* Guards what threads of this process change for holders elsewhere:  { tenure::fence::inside in(f, token); change(); } */
class fence
{
  public:
    explicit fence(const char *resource)
    {
        tenure_error e = {};
        e.code = TENURE_ENOMEM;
        fence_.reset(detail::made(tenure_fence_new(resource), e));
    }
    token seen() const noexcept
    {
        return tenure_fence_seen(fence_.get());
    }
    tenure_fence *get() const noexcept
    {
        return fence_.get();
    }

    /* Throws TENURE_EFENCED for a smaller token than one that was there. */
    class inside
    {
      public:
        inside(const fence &f, token t) : fence_(f.get())
        {
            tenure_error e = {};
            check(tenure_fence_enter(fence_, t, &e), e);
        }
        ~inside()
        {
            tenure_fence_leave(fence_);
        }
        inside(const inside &) = delete;
        inside &operator=(const inside &) = delete;

      private:
        tenure_fence *fence_;
    };

  private:
    detail::owned<tenure_fence, tenure_fence_free> fence_;
};

/* Guards a file among the processes of this machine. */
class fence_file
{
  public:
    explicit fence_file(const char *path)
    {
        tenure_error e = {};
        file_.reset(detail::made(tenure_fence_file_open(path, &e), e));
    }
    /* The whole contents; throws TENURE_EFENCED. wait < 0: without end. */
    void replace(token t, std::string_view contents, milliseconds wait = milliseconds(-1)) const
    {
        tenure_error e = {};
        check(tenure_fence_file_replace(file_.get(), t, wait.count(), bytes(contents), &e), e);
    }
    token seen() const
    {
        tenure_error e = {};
        token t = tenure_fence_file_seen(file_.get(), &e);
        check(t < 0 ? static_cast<int>(t) : 0, e);
        return t;
    }
    tenure_fence_file *get() const noexcept
    {
        return file_.get();
    }

  private:
    detail::owned<tenure_fence_file, tenure_fence_file_close> file_;
};

/* ---- a node (node.h): all of it in one object ---- */

class node
{
  public:
    explicit node(const char *endpoints = nullptr, const tenure_node_options *options = nullptr)
    {
        tenure_error e = {};
        node_.reset(detail::made(tenure_node_open(endpoints, options, &e), e));
    }
    /* work(tenure_election *, token) -> int runs while it leads, again behind each loss; what it answers, or throws, at last. name
     * nullptr: the service's. */
    template <typename F> int lead(const char *name, F work) const
    {
        detail::guarded<F> g{work};
        auto run = [](tenure_election *e, token t, void *arg) {
            return (*static_cast<detail::guarded<F> *>(arg))(e, t);
        };
        tenure_error e = {};
        int rc = tenure_node_lead(get(), name, run, &g, &e);
        g.rethrow();
        check(e.code, e);
        return rc;
    }
    /* work(tenure_lock *) -> int runs while the lock is held. wait 0: without end. */
    template <typename F> int lock(const char *name, milliseconds wait, F work) const
    {
        detail::guarded<F> g{work};
        auto run = [](tenure_lock *l, void *arg) { return (*static_cast<detail::guarded<F> *>(arg))(l); };
        tenure_error e = {};
        int rc = tenure_node_lock(get(), name, wait.count(), run, &g, &e);
        g.rethrow();
        check(e.code, e);
        return rc;
    }
    /* keys nullptr: those of the service. */
    tenure::config config(const char *keys = nullptr, tenure::config::changed function = nullptr) const
    {
        tenure_error e = {};
        tenure::config v(std::move(function));
        v.config_.reset(
            detail::made(tenure_node_config(get(), keys, tenure::config::on_change, v.function_.get(), &e), e));
        return v;
    }
    service register_at(const char *address, std::int32_t port) const
    {
        tenure_error e = {};
        return service(detail::made(tenure_node_register(get(), address, port, &e), e));
    }
    instances discover(const char *name) const
    {
        tenure_error e = {};
        return instances(detail::made(tenure_node_discover(get(), name, &e), e));
    }
    tenure::pick pick(const char *name) const
    {
        tenure_error e = {};
        return tenure::pick(detail::made(tenure_node_pick(get(), name, &e), e));
    }
    enum ::tenure_connection connection() const noexcept
    {
        return tenure_node_connection(get());
    }
    tenure_node *get() const noexcept
    {
        return node_.get();
    }

  private:
    detail::owned<tenure_node, tenure_node_close> node_;
};

} // namespace tenure

#endif
