/* The examples do what they say. Their folder is named by EXAMPLES. */
#include "lib.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* An example at work, its output in a pipe. */
struct example {
    pid_t pid;
    FILE *out;
};

static struct example start(const struct server *s, const char *name)
{
    int pipe_fds[2];
    char path[4096];
    snprintf(path, sizeof path, "%s/example-%s", getenv("EXAMPLES"), name);
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(pipe_fds[1], STDOUT_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        execl(path, path, server_url(s), NULL);
        _exit(127);
    }
    close(pipe_fds[1]);
    return (struct example){.pid = pid, .out = fdopen(pipe_fds[0], "r")};
}

/* Reads one line and compares its beginning. */
static void says(struct example *e, const char *wanted)
{
    char line[256] = "";
    if (!fgets(line, sizeof line, e->out) || strncmp(line, wanted, strlen(wanted)) != 0)
        fail_msg("said '%s', wanted '%s'", line, wanted);
}

static void ends_well(struct example *e)
{
    int status;
    fclose(e->out);
    assert_int_equal(waitpid(e->pid, &status, 0), e->pid);
    assert_int_equal(status, 0);
}

static bool is_in(const char *what, FILE *out)
{
    char line[256];
    bool found = false;
    while (fgets(line, sizeof line, out))
        found = found || strstr(line, what);
    return found;
}

static void the_example_of_barriers_lets_all_through(void **state)
{
    struct example e = start(*state, "barrier");
    says(&e, "customers: 1 of 2");
    says(&e, "orders: 2 of 2");
    says(&e, "3 workers went through the round");
    ends_well(&e);
}

static void the_example_of_caches_reads_what_it_wrote(void **state)
{
    struct example e = start(*state, "cache");
    assert_true(is_in("limit 10 at revision ", e.out)); /* when the change is told is not said */
    ends_well(&e);
}

static void the_example_of_configuration_reads_and_follows(void **state)
{
    struct example e = start(*state, "config");
    says(&e, "example/conns is 12 now");
    says(&e, "example/wait is 1m30s now");
    says(&e, "12 connections, 90000 ms, debug off");
    says(&e, "example/conns is 20 now");
    kill(e.pid, SIGTERM);
    ends_well(&e);
}

static void the_example_of_a_queue_does_its_work(void **state)
{
    struct example e = start(*state, "queue");
    says(&e, "delivery 1 of 'invoice 1'");
    says(&e, "delivery 1 of 'letter 2'");
    says(&e, "delivery 2 of 'invoice 1'");
    ends_well(&e);
}

/* Of a cluster that is the region eu, beside one that does not answer. */
static void the_example_of_regions_leads_at_home_and_finds_the_nearest(void **state)
{
    struct tenure_error err = {0};
    tenure_client *c = open_on(*state);
    struct tenure_region eu = {.name = "eu", .endpoints = tenure_endpoint(c, 0)};
    struct tenure_region us = {.name = "us", .endpoints = "http://127.0.0.1:1"};
    no_error(tenure_region_init(c, "eu", &err), &err);
    no_error(tenure_region_put(c, &eu, &err), &err);
    no_error(tenure_region_put(c, &us, &err), &err);
    no_error(tenure_home_put(c, "/election/", "eu", 3, &err), &err);
    put(c, "/services/packages/p-1", "{\"address\":\"10.0.0.7\",\"port\":80}");
    struct example e = start(*state, "regions");
    says(&e, "leads at home, epoch 3");
    says(&e, "fetched from 10.0.0.7:80 in eu");
    ends_well(&e);
    no_error(tenure_home_put(c, "/election/", "us", 4, &err), &err);
    e = start(*state, "regions");
    says(&e, "does not lead: region 'us' cannot be reached at http://127.0.0.1:1");
    says(&e, "fetched from 10.0.0.7:80 in eu");
    ends_well(&e);
    tenure_close(c);
}

static void the_example_of_the_registry_finds_the_nearest(void **state)
{
    struct example e = start(*state, "registry");
    says(&e, "nearest: b-1 at 10.0.0.7:8080");
    says(&e, "serving: b-2 at 10.0.0.8:8080");
    ends_well(&e);
}

static void the_example_of_the_test_kit_passes_its_own_tests(void **state)
{
    struct example e = start(*state, "testkit");
    says(&e, "a lost lease: the worker stopped, 1 row");
    says(&e, "a stopped holder: the successor's token is greater, the late write was refused");
    says(&e, "3611 s on the kit's clock");
    ends_well(&e);
}

static void the_example_of_scopes_gives_up(void **state)
{
    struct example e = start(*state, "scope");
    says(&e, "cancelled: yes");
    says(&e, "timed out: yes");
    says(&e, "served: yes");
    ends_well(&e);
}

static void the_example_of_traces_tells_its_spans(void **state)
{
    struct example e = start(*state, "trace");
    char line[1024], trace[64] = "";
    size_t calls = 0, attempts = 0, puts = 0;
    while (fgets(line, sizeof line, e.out)) {
        assert_int_equal(strncmp(line, "{\"traceId\":\"", 12), 0);
        assert_string_equal(line + strlen(line) - 3, "}}\n");
        if (!trace[0])
            memcpy(trace, line, 45);
        assert_int_equal(strncmp(line, trace, 45), 0);
        attempts += strstr(line, " attempt\"") != NULL;
        calls += strstr(line, " attempt\"") == NULL;
        puts += strstr(line, "\"name\":\"etcdserverpb.KV/Put\"") && strstr(line, "\"program\"");
    }
    assert_int_equal(puts, 1);
    assert_true(calls >= 4 && attempts >= 4); /* a lease, in, a put, out */
    ends_well(&e);
}

static void the_example_of_keys_finishes_its_job(void **state)
{
    struct example e = start(*state, "kv");
    assert_true(is_in("finished: yes", e.out));
    ends_well(&e);
    tenure_client *c = open_on(*state);
    char *value = get(c, "/jobs/42");
    assert_string_equal(value, "done");
    free(value);
    tenure_close(c);
}

/* Not built where there is no compiler of C++. */
static bool is_built(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/example-%s", getenv("EXAMPLES"), name);
    return access(path, X_OK) == 0;
}

static void the_service_in_cplusplus_says_what_it_does(void **state)
{
    if (!is_built("service"))
        skip();
    struct example e = start(*state, "service");
    says(&e, "configured: 50 at a time, no name\n");
    says(&e, "picked: 10.0.0.9:8080\n");
    says(&e, "led: 7, under a token: yes\n");
    says(&e, "a zombie: refused\n");
    says(&e, "left: 5\n");
    says(&e, "a stale write: refused\n");
    says(&e, "2 casks, picked: k-1\n");
    ends_well(&e);
}

static void the_tour_in_cplusplus_goes_round(void **state)
{
    if (!is_built("tour"))
        skip();
    struct example e = start(*state, "tour");
    says(&e, "watched: tour/a\n");
    says(&e, "guarded: written\n");
    says(&e, "leads: with a greater token\n");
    says(&e, "given up: yes\n");
    says(&e, "keys: 3\n");
    ends_well(&e);
}

static void the_example_of_a_lock_writes_its_rows(void **state)
{
    struct example e = start(*state, "lock");
    says(&e, "row 3, written under token ");
    says(&e, "row 2, ");
    says(&e, "row 1, ");
    ends_well(&e);
}

static void the_example_of_a_range_counts_its_keys(void **state)
{
    struct example e = start(*state, "range");
    says(&e, "250 keys");
    ends_well(&e);
}

static void the_example_of_a_transaction_keeps_the_sum(void **state)
{
    struct example e = start(*state, "stm");
    says(&e, "alice 90, bob 110");
    ends_well(&e);
    e = start(*state, "stm");
    says(&e, "alice 80, bob 120");
    ends_well(&e);
}

static void the_example_of_a_shared_value_reads_what_it_wrote(void **state)
{
    struct example e = start(*state, "value");
    says(&e, "raised to 20");
    says(&e, "limit 20, version 1");
    says(&e, "limit 20, version 1");
    says(&e, "limit 20, version 1");
    ends_well(&e);
}

static void the_example_of_a_counter_counts(void **state)
{
    struct example e = start(*state, "counter");
    says(&e, "visit 1");
    says(&e, "order 1");
    says(&e, "order 2");
    says(&e, "order 3");
    ends_well(&e);
    e = start(*state, "counter");
    says(&e, "visit 2");
    says(&e, "order 1001");
    is_in("order 1003", e.out);
    ends_well(&e);
}

static void the_examples_of_shared_locks_go_through(void **state)
{
    struct example e = start(*state, "rwlock");
    says(&e, "reading, beside anybody");
    says(&e, "writing alone, under token ");
    says(&e, "reading what was written");
    ends_well(&e);
    e = start(*state, "semaphore");
    says(&e, "a page with 1 of 3");
    says(&e, "a film with 2 of 3");
    ends_well(&e);
    e = start(*state, "multilock");
    says(&e, "from account/1 to account/2 under tokens ");
    says(&e, "from account/2 to account/1 under tokens ");
    ends_well(&e);
}

static void the_example_of_a_group_says_who_comes_and_goes(void **state)
{
    struct example first = start(*state, "group"), second = {0};
    says(&first, "here: ");
    second = start(*state, "group");
    says(&second, "here: ");
    says(&second, "here: ");
    says(&first, "joined: ");
    kill(second.pid, SIGTERM);
    says(&first, "left: ");
    kill(first.pid, SIGTERM);
    ends_well(&second);
    ends_well(&first);
}

static void the_example_of_a_scheduler_runs_three_times(void **state)
{
    struct example e = start(*state, "cron");
    says(&e, "run 1 of 3, token ");
    says(&e, "run 2 of 3, token ");
    says(&e, "run 3 of 3, token ");
    ends_well(&e);
}

static void the_example_of_a_node_does_six_things(void **state)
{
    struct tenure_error err = {0};
    tenure_client *c = open_on(*state);
    no_error(tenure_config_set(c, "shop/limit", "20", TENURE_CONFIG_DEFAULT, 0, NULL, NULL, &err), &err);
    struct example e = start(*state, "node");
    says(&e, "configured: 20 at a time");
    says(&e, "discovered: shop-1 at 10.0.0.7:8080");
    says(&e, "locked: paid order-7 under token ");
    says(&e, "led: with token ");
    ends_well(&e);
    struct tenure_instances *all = tenure_discover(c, "shop", NULL, &err);
    assert_int_equal(all->n, 0);
    tenure_instances_free(all);
    tenure_close(c);
}

static void the_example_of_an_election_leads_until_it_is_told_to_stop(void **state)
{
    struct example e = start(*state, "election");
    says(&e, "leading with token ");
    kill(e.pid, SIGTERM);
    says(&e, "not leading any more: resigned");
    ends_well(&e);
}

static void the_example_of_a_session_does_its_jobs(void **state)
{
    struct example e = start(*state, "session");
    says(&e, "job 1, under token ");
    says(&e, "job 2, ");
    says(&e, "job 3, ");
    ends_well(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_scopes_gives_up),
        cmocka_unit_test(the_example_of_barriers_lets_all_through),
        cmocka_unit_test(the_example_of_a_queue_does_its_work),
        cmocka_unit_test(the_example_of_caches_reads_what_it_wrote),
        cmocka_unit_test(the_example_of_configuration_reads_and_follows),
        cmocka_unit_test(the_example_of_regions_leads_at_home_and_finds_the_nearest),
        cmocka_unit_test(the_example_of_the_registry_finds_the_nearest),
        cmocka_unit_test(the_example_of_the_test_kit_passes_its_own_tests),
        cmocka_unit_test(the_example_of_a_node_does_six_things),
        cmocka_unit_test(the_example_of_keys_finishes_its_job),
        cmocka_unit_test(the_example_of_traces_tells_its_spans),
        cmocka_unit_test(the_tour_in_cplusplus_goes_round),
        cmocka_unit_test(the_service_in_cplusplus_says_what_it_does),
        cmocka_unit_test(the_example_of_a_lock_writes_its_rows),
        cmocka_unit_test(the_example_of_a_range_counts_its_keys),
        cmocka_unit_test(the_example_of_a_transaction_keeps_the_sum),
        cmocka_unit_test(the_example_of_a_counter_counts),
        cmocka_unit_test(the_example_of_a_shared_value_reads_what_it_wrote),
        cmocka_unit_test(the_examples_of_shared_locks_go_through),
        cmocka_unit_test(the_example_of_a_group_says_who_comes_and_goes),
        cmocka_unit_test(the_example_of_a_scheduler_runs_three_times),
        cmocka_unit_test(the_example_of_an_election_leads_until_it_is_told_to_stop),
        cmocka_unit_test(the_example_of_a_session_does_its_jobs),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
