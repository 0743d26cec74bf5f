/* See instance_value.h. Written and read by jansson. A block is filled in two passes over the same steps: the first counts. */
#include "lib/instance_value.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "recipes/picker.h"

#define VALUE_MAX ((size_t)1 << 20) /* of a value that is looked into */

enum { PORT_MAX = 65535 };

/* ---- what a value says, before it is copied ---- */

struct words {
    json_t *root, *inner; /* owned; inner: the text in Go's Metadata */
    const char *error;
    const char *address, *zone, *version, *host, *note; /* borrowed; note: a Metadata that is none of ours */
    char *split;                                        /* owned: the address of Go's Addr */
    const char *endpoint;                               /* NULL = made of address and port */
    json_t *tags, *meta;                                /* borrowed; NULL = none */
    int64_t port, weight, pid, since;
    enum tenure_health health;
    bool draining, maintenance, leaving, is_grpc;
};

static void words_fini(struct words *w)
{
    json_decref(w->root);
    json_decref(w->inner);
    free(w->split);
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "";
}

static enum tenure_health health_of(const json_t *v)
{
    const char *s = json_string_value(v);
    if (!v || (s && strcmp(s, "passing") == 0))
        return TENURE_HEALTH_PASSING;
    return s && strcmp(s, "warning") == 0 ? TENURE_HEALTH_WARNING : TENURE_HEALTH_CRITICAL;
}

static bool are_texts(const json_t *tags)
{
    for (size_t i = 0; i < json_array_size(tags); i++)
        if (!json_is_string(json_array_get(tags, i)))
            return false;
    return !tags || json_is_array(tags);
}

static int64_t number_of(const json_t *o, const char *name, int64_t otherwise)
{
    const json_t *v = json_object_get(o, name);
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

/* What our value and the Metadata that we write for Go have alike. */
static void read_more(struct words *w, const json_t *o)
{
    const json_t *weight = json_object_get(o, "weight");
    w->tags = json_object_get(o, "tags");
    w->meta = json_object_get(o, "meta");
    w->zone = text_of(o, "zone");
    w->version = text_of(o, "version");
    w->host = text_of(o, "host");
    w->weight = number_of(o, "weight", 1);
    w->pid = number_of(o, "pid", 0);
    w->since = number_of(o, "since", 0);
    w->health = health_of(json_object_get(o, "health"));
    w->draining = json_is_true(json_object_get(o, "draining"));
    w->maintenance = json_is_true(json_object_get(o, "maintenance"));
    w->leaving = json_is_true(json_object_get(o, "leaving"));
    if (!are_texts(w->tags))
        w->error = "\"tags\" is no list of texts";
    else if (w->meta && !json_is_object(w->meta))
        w->error = "\"meta\" is no object";
    else if (weight && (!json_is_integer(weight) || w->weight < 0))
        w->error = "\"weight\" is no number from 0 on";
    w->weight = w->weight < PICKER_WEIGHT_MAX ? w->weight : PICKER_WEIGHT_MAX;
}

static void read_ours(struct words *w, const json_t *o)
{
    const json_t *port = json_object_get(o, "port");
    w->address = text_of(o, "address");
    w->port = number_of(o, "port", 0);
    read_more(w, o);
    if (!w->address[0])
        w->error = "it has no \"address\"";
    else if (port && (!json_is_integer(port) || w->port < 0 || w->port > PORT_MAX))
        w->error = "\"port\" is no number from 0 to 65535";
}

/* ---- Go's ---- */

/* "host:port" and "[host]:port"; anything else is an address without a port. */
static void split_endpoint(struct words *w)
{
    char *colon = strrchr(w->split, ':'), *end = NULL;
    long port = colon && colon[1] >= '0' && colon[1] <= '9' ? strtol(colon + 1, &end, 10) : -1;
    size_t len = colon ? (size_t)(colon - w->split) : 0;
    bool bracketed = len > 2 && w->split[0] == '[' && w->split[len - 1] == ']';
    w->address = w->split;
    if (port < 0 || port > PORT_MAX || *end || len == 0 || (!bracketed && memchr(w->split, ':', len)))
        return;
    w->port = port;
    w->split[bracketed ? len - 1 : len] = 0;
    w->address += bracketed;
}

static void read_metadata(struct words *w, json_t *metadata)
{
    const char *text = json_string_value(metadata);
    json_t *o = json_is_object(metadata) ? metadata : NULL;
    if (text && text[0] == '{') {
        w->inner = json_loads(text, 0, NULL);
        o = json_is_object(w->inner) ? w->inner : NULL;
    }
    if (text && !o)
        w->note = text;
    read_more(w, o);
    if (w->error) /* somebody else's words */
        w->tags = w->meta = NULL;
    w->error = NULL;
}

/* False when out of memory. */
static bool read_grpc(struct words *w, const json_t *o)
{
    w->is_grpc = true;
    w->endpoint = text_of(o, "Addr");
    w->split = strdup(w->endpoint);
    if (!w->split)
        return false;
    split_endpoint(w);
    read_metadata(w, json_object_get(o, "Metadata"));
    if (!w->endpoint[0])
        w->error = "it has no \"Addr\"";
    return true;
}

/* False when out of memory. */
static bool read_value(struct words *w, bytes value)
{
    *w = (struct words){.address = "", .zone = "", .version = "", .host = ""};
    if (value.len > VALUE_MAX)
        w->error = "its value is too long";
    else
        w->root = json_loadb((const char *)value.data, value.len, 0, NULL);
    if (!w->error && !json_is_object(w->root))
        w->error = "its value is no JSON object";
    if (w->error)
        return true;
    if (!json_object_get(w->root, "address") && json_is_string(json_object_get(w->root, "Addr")))
        return read_grpc(w, w->root);
    read_ours(w, w->root);
    return true;
}

/* ---- into a block ---- */

struct pack {
    char *at; /* NULL = counts */
    size_t len;
};

static const char *pack(struct pack *p, const void *s, size_t len)
{
    char *to = p->at ? p->at + p->len : NULL;
    p->len += len + 1;
    if (!to)
        return NULL;
    if (len)
        memcpy(to, s, len);
    to[len] = 0;
    return to;
}

static const char *pack_text(struct pack *p, const char *s)
{
    return pack(p, s, strlen(s));
}

/* Texts as they are, anything else as JSON. False when out of memory. */
static bool pack_meta(struct pack *p, struct tenure_meta *to, const char *name, const json_t *v)
{
    char *dumped = json_is_string(v) ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *text = json_is_string(v) ? json_string_value(v) : dumped;
    if (!text)
        return false;
    struct tenure_meta m = {pack_text(p, name), pack_text(p, text)};
    if (to)
        *to = m;
    free(dumped);
    return true;
}

static bool pack_lists(struct pack *p, const struct words *w, const char **tags, struct tenure_meta *meta)
{
    const char *name;
    json_t *v;
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(w->tags); i++) {
        const char *tag = pack_text(p, json_string_value(json_array_get(w->tags, i)));
        if (p->at)
            tags[i] = tag;
    }
    json_object_foreach(w->meta, name, v)
    {
        if (!pack_meta(p, p->at ? &meta[n] : NULL, name, v))
            return false;
        n++;
    }
    if (w->note) {
        struct tenure_meta m = {pack_text(p, "Metadata"), pack_text(p, w->note)};
        if (p->at)
            meta[n] = m;
    }
    return true;
}

struct source {
    bytes service, name;
    const struct tenure_kv *kv;
    const char *endpoint;
};

static bool pack_all(struct pack *p, const struct source *from, const struct words *w, struct tenure_instance *to,
                     const char **tags, struct tenure_meta *meta)
{
    to->service = pack(p, from->service.data, from->service.len);
    to->name = pack(p, from->name.data, from->name.len);
    to->address = pack_text(p, w->address);
    to->endpoint = pack_text(p, from->endpoint);
    to->zone = pack_text(p, w->zone);
    to->version = pack_text(p, w->version);
    to->host = pack_text(p, w->host);
    to->value = (struct tenure_bytes){pack(p, from->kv->value.data, from->kv->value.len), from->kv->value.len};
    return pack_lists(p, w, tags, meta);
}

static void take_numbers(struct tenure_instance *to, const struct words *w, const struct tenure_kv *kv)
{
    to->port = (int32_t)w->port;
    to->weight = (int32_t)w->weight;
    to->health = w->health;
    to->draining = w->draining;
    to->maintenance = w->maintenance;
    to->leaving = w->leaving;
    to->is_grpc = w->is_grpc;
    to->pid = w->pid;
    to->since_ms = w->since;
    to->error = w->error;
    to->create_revision = kv->create_revision;
    to->mod_revision = kv->mod_revision;
    to->lease = kv->lease;
}

static struct instance *block_of(const struct source *from, const struct words *w)
{
    struct pack counted = {0};
    struct tenure_instance none;
    size_t n_tags = json_array_size(w->tags), n_meta = json_object_size(w->meta) + (w->note ? 1 : 0);
    if (!pack_all(&counted, from, w, &none, NULL, NULL))
        return NULL;
    struct instance *i =
        calloc(1, sizeof *i + n_tags * sizeof(char *) + n_meta * sizeof(struct tenure_meta) + counted.len);
    if (!i)
        return NULL;
    struct tenure_meta *meta = (struct tenure_meta *)(i + 1);
    const char **tags = (const char **)(meta + n_meta);
    struct pack filled = {.at = (char *)(tags + n_tags)};
    i->refs = 1;
    i->pub.tags = tags;
    i->pub.n_tags = n_tags;
    i->pub.meta = meta;
    i->pub.n_meta = n_meta;
    take_numbers(&i->pub, w, from->kv);
    return pack_all(&filled, from, w, &i->pub, tags, meta) ? i : instance_unref(i);
}

struct instance *instance_read(bytes service, bytes name, const struct tenure_kv *kv)
{
    struct words w;
    struct instance *i = NULL;
    if (read_value(&w, bytes_of(kv->value.data, kv->value.len))) {
        if (w.error) {
            w.tags = w.meta = NULL;
            w.note = NULL;
        }
        char *made = w.endpoint ? NULL : instance_endpoint(w.address, (int32_t)w.port);
        struct source from = {service, name, kv, w.endpoint ? w.endpoint : made};
        i = from.endpoint ? block_of(&from, &w) : NULL;
        free(made);
    }
    words_fini(&w);
    return i;
}

/* ---- writing ---- */

char *instance_endpoint(const char *address, int32_t port)
{
    bool is_v6 = strchr(address, ':') && address[0] != '[';
    size_t size = strlen(address) + 16;
    char *out = malloc(size);
    if (out && port)
        snprintf(out, size, is_v6 ? "[%s]:%" PRId32 : "%s:%" PRId32, address, port);
    else if (out)
        snprintf(out, size, "%s", address);
    return out;
}

static bool fits(const char *s)
{
    bytes rest = bytes_str(s);
    size_t n;
    while (rest.len && (n = bytes_utf8_char(rest)))
        rest = bytes_of(rest.data + n, rest.len - n);
    return rest.len == 0;
}

static bool all_fit(const struct tenure_instance *i)
{
    bool ok = fits(i->address) && fits(i->zone) && fits(i->version) && fits(i->host);
    for (size_t k = 0; k < i->n_tags; k++)
        ok = ok && i->tags[k] && fits(i->tags[k]);
    for (size_t k = 0; k < i->n_meta; k++)
        ok = ok && i->meta[k].name && i->meta[k].value && fits(i->meta[k].name) && fits(i->meta[k].value);
    return ok;
}

int instance_check(const struct tenure_instance *i, struct tenure_error *err)
{
    if (!i->address[0] || i->port < 0 || i->port > PORT_MAX)
        return error_set(err, TENURE_EINVALID, "registry: no address, or a port that is none");
    if (i->weight < 0 || i->weight > PICKER_WEIGHT_MAX || (unsigned)i->health > TENURE_HEALTH_CRITICAL)
        return error_set(err, TENURE_EINVALID, "registry: a weight beyond 0 to %d, or no such health",
                         PICKER_WEIGHT_MAX);
    if (!all_fit(i))
        return error_set(err, TENURE_EINVALID, "registry: text that is NULL or no UTF-8");
    return 0;
}

static int set_text(json_t *o, const char *name, const char *s)
{
    if (s[0])
        return json_object_set_new(o, name, json_string(s));
    json_object_del(o, name);
    return 0;
}

static int set_number(json_t *o, const char *name, int64_t n, int64_t left_out)
{
    if (n != left_out)
        return json_object_set_new(o, name, json_integer(n));
    json_object_del(o, name);
    return 0;
}

static int set_flag(json_t *o, const char *name, bool on)
{
    if (on)
        return json_object_set_new(o, name, json_true());
    json_object_del(o, name);
    return 0;
}

static int set_tags(json_t *o, const struct tenure_instance *i)
{
    json_t *tags = json_array();
    int rc = tags ? 0 : -1;
    for (size_t k = 0; k < i->n_tags; k++)
        rc |= json_array_append_new(tags, json_string(i->tags[k]));
    if (i->n_tags)
        return rc | json_object_set_new(o, "tags", tags);
    json_decref(tags);
    json_object_del(o, "tags");
    return rc;
}

static int set_meta(json_t *o, const struct tenure_instance *i)
{
    json_t *meta = json_object();
    int rc = meta ? 0 : -1;
    for (size_t k = 0; k < i->n_meta; k++)
        rc |= json_object_set_new(meta, i->meta[k].name, json_string(i->meta[k].value));
    if (i->n_meta)
        return rc | json_object_set_new(o, "meta", meta);
    json_decref(meta);
    json_object_del(o, "meta");
    return rc;
}

static int set_more(json_t *o, const struct tenure_instance *i)
{
    int rc = set_tags(o, i) | set_meta(o, i);
    rc |= set_number(o, "weight", i->weight, 1);
    rc |= set_text(o, "zone", i->zone);
    rc |= set_text(o, "version", i->version);
    return rc;
}

static char *dumped(json_t *o, int rc)
{
    char *out = rc == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return out;
}

char *instance_write(const struct tenure_instance *i, bytes base)
{
    json_t *o = base.len && base.len <= VALUE_MAX ? json_loadb((const char *)base.data, base.len, 0, NULL) : NULL;
    int rc = 0;
    if (!json_is_object(o)) {
        json_decref(o);
        o = json_object();
    }
    rc |= json_object_set_new(o, "address", json_string(i->address));
    rc |= set_number(o, "port", i->port, 0);
    rc |= json_object_set_new(o, "health", json_string(tenure_health_string(i->health)));
    rc |= set_more(o, i);
    rc |= set_flag(o, "draining", i->draining);
    rc |= set_flag(o, "maintenance", i->maintenance);
    rc |= set_flag(o, "leaving", i->leaving);
    rc |= set_text(o, "host", i->host);
    rc |= set_number(o, "pid", i->pid, 0);
    rc |= set_number(o, "since", i->since_ms, 0);
    return dumped(o, rc);
}

/* "" when there is nothing to say; NULL when out of memory. */
static char *metadata_text(const struct tenure_instance *i)
{
    json_t *o = json_object();
    int rc = set_more(o, i);
    return rc == 0 && json_object_size(o) == 0 ? (json_decref(o), calloc(1, 1)) : dumped(o, rc);
}

char *instance_write_grpc(const struct tenure_instance *i)
{
    char *addr = instance_endpoint(i->address, i->port), *more = metadata_text(i), *out = NULL;
    if (addr && more) {
        json_t *o = json_object();
        int rc = json_object_set_new(o, "Op", json_integer(0));
        rc |= json_object_set_new(o, "Addr", json_string(addr));
        rc |= json_object_set_new(o, "Metadata", more[0] ? json_string(more) : json_null());
        out = dumped(o, rc);
    }
    free(addr);
    free(more);
    return out;
}
