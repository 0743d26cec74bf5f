/* An open-addressing table in a shared mapping, written so that a crash at any instruction does no harm.
 *
 * A slot is {check, id, deadline}; check mixes the two with the boot, so a slot that was cut in the middle of a change,
 * or comes from another boot, does not check and counts as unknown: the lease gets its full TTL. Late, never early. For
 * the same reason a deadline that cannot be stored must not leave an older one behind: a known id is changed in its
 * place, which always works, and an id without a place has no slot at all.
 *
 * The newest sequence is kept twice, written in turns: one of the two checks at any instruction.
 *
 * Growth: a file of twice the size is filled, renamed over the old one, and the old mapping dropped. The blocks of a file
 * are allocated before it is mapped, so that a full disk is an error of that call and not a signal later. */
#include "backend/leases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"

#define FILE_NAME "leases"
#define FILE_NEW  "leases.new"
enum {
    VERSION = 1,
    SLOTS_FIRST = 1024,
    SLOTS_MAX = 1 << 26, /* 2 GiB of file; beyond it leases are simply not remembered */
    PROBES_MAX = 512,    /* where a search ends when the table could not grow */
    HEADER_SIZE = 4096,
    CHECK_FREE = 0, /* never used */
    CHECK_GONE = 1, /* forgotten: a search goes on behind it */
    CHECK_MIN = 2,
};
static const char file_magic[8] = "TnreLeas";

struct synced {
    _Atomic uint64_t seq, check;
};

struct header {
    char magic[8];
    uint32_t version;
    uint32_t crc; /* of magic, version, slots, boot_id */
    uint64_t slots;
    char boot_id[BOOT_ID_SIZE];
    struct synced synced[2];
};

struct slot {
    _Atomic uint64_t check, id, deadline;
    uint64_t unused; /* to 32 bytes: no slot lies across a page */
};

struct leases {
    const struct dir *dir;
    struct log log;
    struct header *header; /* the mapping begins here; slots follow at HEADER_SIZE */
    struct slot *slots;
    size_t cap;    /* power of two */
    size_t filled; /* slots that are not free: used or forgotten */
    size_t used;
    uint64_t salt; /* of the boot */
    int fd;        /* -1: plain memory */
    unsigned turn; /* which of header->synced is written next */
};

/* ---- checks ---- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x7fb5d329728ea185u;
    x ^= x >> 27;
    x *= 0x81dadef4bc2dd44du;
    return x ^ x >> 33;
}

static uint64_t check_of(uint64_t salt, uint64_t a, uint64_t b)
{
    uint64_t check = mix(mix(mix(salt) + a) + b);
    return check < CHECK_MIN ? CHECK_MIN : check;
}

static uint64_t boot_salt(const char *boot_id)
{
    uint64_t salt = 0x74656e757265u;
    for (const char *c = boot_id; *c; c++)
        salt = mix(salt + (unsigned char)*c);
    return salt;
}

static uint32_t header_crc(const struct header *h)
{
    uint32_t crc = crc32c(0, h->magic, sizeof h->magic);
    crc = crc32c(crc, &h->version, sizeof h->version);
    crc = crc32c(crc, &h->slots, sizeof h->slots);
    return crc32c(crc, h->boot_id, sizeof h->boot_id);
}

/* A store that happens before the next one in the mapping: another process sees them in this order. */
static void put(_Atomic uint64_t *at, uint64_t v)
{
    atomic_store_explicit(at, v, memory_order_release);
}

static uint64_t get(const _Atomic uint64_t *at)
{
    return atomic_load_explicit(at, memory_order_acquire);
}

/* ---- the mapping ---- */

static size_t map_size(size_t cap)
{
    return HEADER_SIZE + cap * sizeof(struct slot);
}

static void table_set(struct leases *l, void *memory, size_t cap, int fd)
{
    l->header = memory;
    l->slots = (struct slot *)((char *)memory + HEADER_SIZE);
    l->cap = cap;
    l->fd = fd;
    l->filled = l->used = 0;
}

static void table_drop(struct leases *l)
{
    if (l->header && l->fd >= 0) {
        munmap(l->header, map_size(l->cap));
        close(l->fd);
    } else {
        free(l->header);
    }
    table_set(l, NULL, 0, -1);
}

static void header_write(struct leases *l)
{
    struct header *h = l->header;
    memcpy(h->magic, file_magic, sizeof h->magic);
    h->version = VERSION;
    h->slots = l->cap;
    memset(h->boot_id, 0, sizeof h->boot_id);
    memcpy(h->boot_id, l->dir->boot_id, strlen(l->dir->boot_id));
    h->crc = header_crc(h);
}

/* Zeroed memory of a new file of cap slots under name; an errno. */
static int file_map_new(const struct dir *d, const char *name, size_t cap, void **ret, int *ret_fd)
{
    int fd = openat(d->fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int failed = posix_fallocate(fd, 0, (off_t)map_size(cap));
    void *memory = MAP_FAILED;
    if (!failed) {
        memory = mmap(NULL, map_size(cap), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        failed = memory == MAP_FAILED ? errno : 0;
    }
    if (failed) {
        close(fd);
        (void)unlinkat(d->fd, name, 0);
        return failed;
    }
    *ret = memory;
    *ret_fd = fd;
    return 0;
}

/* ---- slots ---- */

static bool slot_sound(const struct leases *l, const struct slot *s)
{
    return get(&s->check) == check_of(l->salt, get(&s->id), get(&s->deadline));
}

/* Where id is, or where it would go (a forgotten slot on the way, or the free one at its end); NULL when there is neither.
 * *ret_there says which. */
static struct slot *slot_find(const struct leases *l, tn_lease id, bool *ret_there)
{
    struct slot *place = NULL;
    size_t at = (size_t)mix((uint64_t)id);
    *ret_there = false;
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct slot *s = &l->slots[(at + i) & (l->cap - 1)];
        uint64_t check = get(&s->check);
        if (check == CHECK_FREE)
            return place ? place : s;
        if (check == CHECK_GONE) {
            place = place ? place : s;
        } else if (get(&s->id) == (uint64_t)id) {
            *ret_there = true;
            return s;
        }
    }
    return place;
}

/* The check goes first and comes last: in between the slot is forgotten, or, when it had been free, still free. */
static void slot_write(struct leases *l, struct slot *s, tn_lease id, tn_ms deadline)
{
    if (get(&s->check) != CHECK_FREE)
        put(&s->check, CHECK_GONE);
    put(&s->id, (uint64_t)id);
    put(&s->deadline, (uint64_t)deadline);
    put(&s->check, check_of(l->salt, (uint64_t)id, (uint64_t)deadline));
}

static void slot_add(struct leases *l, tn_lease id, tn_ms deadline)
{
    bool there;
    struct slot *s = slot_find(l, id, &there);
    if (!s)
        return;
    l->filled += get(&s->check) == CHECK_FREE;
    l->used += !there;
    slot_write(l, s, id, deadline);
}

static void slots_copy(struct leases *to, const struct leases *from)
{
    for (size_t i = 0; i < from->cap; i++) {
        const struct slot *s = &from->slots[i];
        if (slot_sound(from, s))
            slot_add(to, (tn_lease)get(&s->id), (tn_ms)get(&s->deadline));
    }
}

/* ---- the newest sequence ---- */

static void synced_write(struct synced *s, tn_seq seq)
{
    put(&s->seq, (uint64_t)seq);
    put(&s->check, check_of(VERSION, (uint64_t)seq, 0));
}

tn_seq leases_synced(const struct leases *l)
{
    tn_seq newest = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t seq = get(&l->header->synced[i].seq);
        if (get(&l->header->synced[i].check) == check_of(VERSION, seq, 0) && (tn_seq)seq > newest)
            newest = (tn_seq)seq;
    }
    return newest;
}

void leases_set_synced(struct leases *l, tn_seq seq)
{
    synced_write(&l->header->synced[l->turn++ & 1], seq);
}

/* ---- growing ---- */

/* Moves everything into a new file of cap slots; false changes nothing. */
static bool table_rebuild(struct leases *l, size_t cap)
{
    struct leases next = *l;
    void *memory;
    int fd;
    if (cap > SLOTS_MAX || file_map_new(l->dir, FILE_NEW, cap, &memory, &fd))
        return false;
    table_set(&next, memory, cap, fd);
    header_write(&next);
    synced_write(&next.header->synced[0], leases_synced(l));
    slots_copy(&next, l);
    if (renameat(l->dir->fd, FILE_NEW, l->dir->fd, FILE_NAME) < 0) {
        table_drop(&next);
        (void)unlinkat(l->dir->fd, FILE_NEW, 0);
        return false;
    }
    table_drop(l);
    next.turn = 1;
    *l = next;
    return true;
}

/* Keeps a quarter free, so that searches are short; forgotten slots alone are swept out at the same size. Tried only
 * when another eighth was filled since: a full disk must not cost a try with each store. */
static void table_make_room(struct leases *l)
{
    size_t limit = l->cap / 4 * 3;
    if (l->fd < 0 || l->filled < limit || (l->filled - limit) % (l->cap / 8))
        return;
    size_t cap = l->used >= l->cap / 2 ? l->cap * 2 : l->cap;
    if (!table_rebuild(l, cap))
        log_write(&l->log, LOG_WARN, "the table of lease deadlines cannot grow", "slots=%zu used=%zu", l->cap, l->used);
}

void leases_store(struct leases *l, tn_lease id, tn_ms deadline)
{
    bool there;
    struct slot *s = slot_find(l, id, &there);
    if (there) {
        slot_write(l, s, id, deadline);
        return;
    }
    table_make_room(l);
    slot_add(l, id, deadline);
}

void leases_forget(struct leases *l, tn_lease id)
{
    bool there;
    struct slot *s = slot_find(l, id, &there);
    if (!there)
        return;
    put(&s->check, CHECK_GONE);
    l->used--;
}

bool leases_load(const struct leases *l, tn_lease id, tn_ms *ret_deadline)
{
    bool there;
    const struct slot *s = slot_find(l, id, &there);
    if (!there || !slot_sound(l, s))
        return false;
    *ret_deadline = (tn_ms)get(&s->deadline);
    return true;
}

/* ---- opening ---- */

static bool header_sound(const struct header *h, int64_t file_size)
{
    return memcmp(h->magic, file_magic, sizeof h->magic) == 0 && h->version == VERSION && h->crc == header_crc(h) &&
           h->slots >= SLOTS_FIRST && h->slots <= SLOTS_MAX && (h->slots & (h->slots - 1)) == 0 &&
           (int64_t)map_size(h->slots) == file_size && h->boot_id[BOOT_ID_SIZE - 1] == 0;
}

/* Takes the existing file over; false when there is none that can be used. */
static bool file_adopt(struct leases *l)
{
    int fd = openat(l->dir->fd, FILE_NAME, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct header h;
    struct stat st;
    bool sound = fstat(fd, &st) == 0 && pread(fd, &h, sizeof h, 0) == (ssize_t)sizeof h && header_sound(&h, st.st_size);
    void *memory = MAP_FAILED;
    if (sound)
        memory = mmap(NULL, map_size(h.slots), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        close(fd);
        return false;
    }
    table_set(l, memory, h.slots, fd);
    return true;
}

static bool same_boot(const struct leases *l)
{
    return l->dir->boot_id[0] && strcmp(l->header->boot_id, l->dir->boot_id) == 0;
}

/* Another boot: the slots are emptied where they are, which needs no room. Their checks hold for the other boot only, so
 * an end in the middle of this leaves none that counts. */
static void table_empty(struct leases *l)
{
    memset(l->slots, 0, l->cap * sizeof(struct slot));
    header_write(l);
}

/* The same boot: a slot that does not check was cut and is given up. */
static void table_count(struct leases *l)
{
    for (size_t i = 0; i < l->cap; i++) {
        struct slot *s = &l->slots[i];
        if (get(&s->check) == CHECK_FREE)
            continue;
        l->filled++;
        if (slot_sound(l, s))
            l->used++;
        else
            put(&s->check, CHECK_GONE);
    }
}

/* What is in a file that cannot be used must not be there at the next start either. */
static int table_new(struct leases *l, struct tenure_error *err)
{
    void *memory;
    int fd;
    (void)unlinkat(l->dir->fd, FILE_NAME, 0);
    int failed = file_map_new(l->dir, FILE_NAME, SLOTS_FIRST, &memory, &fd);
    if (failed) {
        log_write(&l->log, LOG_WARN, "lease deadlines will not survive a crash: no file for them", "errno=%d", failed);
        memory = calloc(1, map_size(SLOTS_FIRST));
        fd = -1;
    }
    if (!memory)
        return error_set(err, TENURE_ENOMEM, FILE_NAME ": out of memory");
    table_set(l, memory, SLOTS_FIRST, fd);
    header_write(l);
    return 0;
}

int leases_open(const struct dir *d, const struct log *log, struct leases **ret, struct tenure_error *err)
{
    struct leases *l = calloc(1, sizeof *l);
    if (!l)
        return error_set(err, TENURE_ENOMEM, FILE_NAME ": out of memory");
    l->dir = d;
    l->log = *log;
    l->fd = -1;
    l->salt = boot_salt(d->boot_id);
    (void)unlinkat(d->fd, FILE_NEW, 0);
    int code = 0;
    if (!file_adopt(l))
        code = table_new(l, err);
    else if (same_boot(l))
        table_count(l);
    else
        table_empty(l);
    if (code) {
        free(l);
        return code;
    }
    *ret = l;
    return 0;
}

struct leases *leases_close(struct leases *l)
{
    if (!l)
        return NULL;
    if (l->fd >= 0)
        (void)msync(l->header, map_size(l->cap), MS_SYNC);
    table_drop(l);
    free(l);
    return NULL;
}
