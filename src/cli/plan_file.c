/* DIR/plan.json: what a plan goes on with when it is made again. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/plan.h"

static void path_of(const struct plan *p, char *out, size_t size)
{
    snprintf(out, size, "%s/plan.json", p->dir);
}

/* A text that is missing stays as it is. */
static bool get_text(const json_t *o, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(o, name));
    if (!text)
        return !json_object_get(o, name);
    return (size_t)snprintf(out, size, "%s", text) < size;
}

static bool get_member(const json_t *o, struct plan_member *m)
{
    *m = (struct plan_member){.joins = json_is_true(json_object_get(o, "joins"))};
    return get_text(o, "name", m->name, sizeof m->name) && get_text(o, "host", m->host, sizeof m->host) &&
           get_text(o, "initial_cluster", m->initial, sizeof m->initial) && plan_is_name(m->name) && m->host[0] &&
           m->initial[0];
}

static bool get_plan(const json_t *o, struct plan *p)
{
    const json_t *list = json_object_get(o, "members");
    json_int_t port = json_integer_value(json_object_get(o, "port"));
    size_t n = json_array_size(list);
    if (n == 0 || n > CLUSTER_MEMBERS_MAX || port < 1 || port > 65534)
        return false;
    p->port = (int)port;
    p->is_insecure = json_is_true(json_object_get(o, "insecure"));
    for (p->n = 0; p->n < n; p->n++)
        if (!get_member(json_array_get(list, p->n), &p->members[p->n]))
            return false;
    return get_text(o, "token", p->token, sizeof p->token) && get_text(o, "etcd", p->etcd, sizeof p->etcd) &&
           get_text(o, "data_dir", p->data_dir, sizeof p->data_dir) &&
           get_text(o, "config_dir", p->config_dir, sizeof p->config_dir) &&
           get_text(o, "ca_cert", p->ca_cert, sizeof p->ca_cert) &&
           get_text(o, "ca_key", p->ca_key, sizeof p->ca_key) && p->token[0];
}

int plan_load(struct plan *p)
{
    char path[PLAN_PATH_BYTES + 32];
    json_error_t why;
    path_of(p, path, sizeof path);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    json_t *o = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    bool ok = o && get_plan(o, p);
    if (!o)
        fprintf(stderr, "tenure cluster: %s: line %d: %s\n", path, why.line, why.text);
    else if (!ok)
        fprintf(stderr, "tenure cluster: %s: it is no plan that `tenure cluster plan` has written\n", path);
    json_decref(o);
    return ok ? 1 : -1;
}

static json_t *member_json(const struct plan_member *m)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(m->name));
    json_object_set_new(o, "host", json_string(m->host));
    json_object_set_new(o, "joins", json_boolean(m->joins));
    json_object_set_new(o, "initial_cluster", json_string(m->initial));
    return o;
}

bool plan_save(const struct plan *p)
{
    char path[PLAN_PATH_BYTES + 32];
    json_t *o = json_object(), *list = json_array();
    json_object_set_new(o, "token", json_string(p->token));
    json_object_set_new(o, "port", json_integer(p->port));
    json_object_set_new(o, "insecure", json_boolean(p->is_insecure));
    json_object_set_new(o, "etcd", json_string(p->etcd));
    json_object_set_new(o, "data_dir", json_string(p->data_dir));
    json_object_set_new(o, "config_dir", json_string(p->config_dir));
    json_object_set_new(o, "ca_cert", json_string(p->ca_cert));
    json_object_set_new(o, "ca_key", json_string(p->ca_key));
    for (size_t i = 0; i < p->n; i++)
        json_array_append_new(list, member_json(&p->members[i]));
    json_object_set_new(o, "members", list);
    char *text = json_dumps(o, JSON_INDENT(2));
    path_of(p, path, sizeof path);
    bool ok = text && plan_put_file(path, 0600, text, strlen(text));
    free(text);
    json_decref(o);
    return ok;
}
