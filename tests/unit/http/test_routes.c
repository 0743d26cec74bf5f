/* The table of paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "http/routes.h"

static void each_path_is_found_and_is_there_once(void **state)
{
    size_t n;
    const struct route *list = route_list(&n);
    (void)state;
    assert_int_equal(n, 51);
    for (size_t i = 0; i < n; i++)
        assert_ptr_equal(route_find(bytes_str(list[i].path)), &list[i]);
    assert_null(route_find(bytes_str("/v3/kv/put/")));
    assert_null(route_find(bytes_str("/v3/kv/rangestream")));
    assert_null(route_find(bytes_str("/v3/")));
}

/* "LeaseGrant" in the RPC is LeaseGrantRequest and LeaseGrantResponse, but for the names that etcd chose otherwise. */
static bool names_agree(const struct route *r)
{
    static const char *const other[] = {"Observe", "Compact", "Auth/"};
    char request[64], response[64];
    const char *method = strrchr(r->rpc, '/') + 1;
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        if (strstr(r->rpc, other[i]))
            return true;
    }
    snprintf(request, sizeof request, "%sRequest", method);
    snprintf(response, sizeof response, "%sResponse", method);
    return strcmp(r->request->short_name, request) == 0 && strcmp(r->response->short_name, response) == 0;
}

static void each_rpc_has_its_own_messages(void **state)
{
    size_t n;
    const struct route *list = route_list(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        size_t stem = strlen(list[i].request->short_name) - strlen("Request");
        if (!names_agree(&list[i]))
            fail_msg("%s: %s, %s", list[i].rpc, list[i].request->short_name, list[i].response->short_name);
        assert_string_equal(list[i].request->short_name + stem, "Request");
        assert_int_equal(strncmp(list[i].request->short_name, list[i].response->short_name, stem), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_path_is_found_and_is_there_once),
        cmocka_unit_test(each_rpc_has_its_own_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
