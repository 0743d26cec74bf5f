/* A real full disk under the real log, on tmpfs and on ext4: batches are refused and undone, the ballast makes room for
 * what frees room, and once there is room again the log goes on by itself. Needs root for the mounts, in a mount
 * namespace of its own that vanishes with the process; exits 77 where that is not permitted. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

enum { DISK_MIB = 6 };

static char place[64]; /* holds the image and the mount point */

/* ---- disks ---- */

static bool mount_tmpfs(const char *at)
{
    char options[32];
    snprintf(options, sizeof options, "size=%dm", DISK_MIB);
    return mount("tmpfs", at, "tmpfs", 0, options) == 0;
}

static bool mount_ext4(const char *at)
{
    char command[512];
    snprintf(command, sizeof command,
             "PATH=$PATH:/sbin:/usr/sbin; rm -f %s/image && truncate -s %dM %s/image && mkfs.ext4 -q -m 0 %s/image && "
             "mount -o loop %s/image %s 2>/dev/null",
             place, 2 * DISK_MIB, place, place, place, at);
    return system(command) == 0;
}

/* Fills the disk to its last byte; the filler can be removed again. */
static void fill(const char *disk)
{
    char path[256];
    static const char block[4096];
    snprintf(path, sizeof path, "%s/filler", disk);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    for (size_t len = sizeof block; len > 0; len /= 2) {
        while (write(fd, block, len) > 0)
            continue;
        assert_int_equal(errno, ENOSPC);
    }
    close(fd);
}

static void make_room(const char *disk)
{
    char path[256];
    snprintf(path, sizeof path, "%s/filler", disk);
    assert_int_equal(unlink(path), 0);
}

/* ---- the scenario ---- */

static void append_until_full(struct rig *r)
{
    enum { MANY = 10000 };
    for (int i = 0; i < MANY; i++) {
        struct backend_result result = rig_try(r, 5, NULL, 0, i % 2);
        if (result.outcome == BACKEND_APPLIED)
            continue;
        assert_int_equal(result.outcome, BACKEND_NOT_APPLIED);
        assert_int_equal(result.error.code, TENURE_ENOSPACE);
        return;
    }
    fail_msg("the disk did not become full");
}

static void reopen(struct rig *r)
{
    tn_seq seq = r->seq;
    rig_close(r);
    if (rig_open(r))
        fail_msg("does not open: %s", r->error.text);
    assert_false(r->wrong);
    assert_int_equal(r->seq, seq);
}

static void live_through_a_full_disk(const char *disk)
{
    struct rig r;
    rig_init(&r, disk);
    r.config.wal_bytes_soft = 128 << 10;
    r.config.wal_bytes_hard = 1 << 20;
    r.config.ballast_bytes = 512 << 10;
    r.value_max = 2000;
    assert_int_equal(rig_open(&r), 0);
    rig_append(&r, 50);
    fill(disk);
    append_until_full(&r);

    struct backend_result probe = rig_try(&r, 1, NULL, 0, false); /* a probe a second: still full, nothing broken */
    assert_int_not_equal(probe.outcome, BACKEND_MAYBE_APPLIED);

    assert_true(backend_release_ballast(r.b));
    rig_delete(&r, (tn_seq[]){3, 4, 5}, 3);
    rig_append(&r, 1);
    reopen(&r); /* on the full disk */
    assert_false(rig_saw(&r, 3));

    (void)backend_release_ballast(r.b);
    fill(disk);
    append_until_full(&r);
    make_room(disk);
    for (int i = 0; i < 300; i++)
        rig_append(&r, 3);
    reopen(&r);
    assert_int_equal(r.replayed, r.seq - 3);
    rig_append(&r, 1);
    assert_true(rig_has(&r, "ballast"));
    rig_fini(&r);
}

static void on_disk(bool (*mount_it)(const char *at))
{
    char disk[128];
    snprintf(disk, sizeof disk, "%s/disk", place);
    if (!mount_it(disk)) {
        print_message("cannot be mounted here: %s\n", strerror(errno));
        skip();
    }
    live_through_a_full_disk(disk);
    assert_int_equal(umount(disk), 0);
}

static void a_full_tmpfs_is_lived_through(void **state)
{
    (void)state;
    on_disk(mount_tmpfs);
}

static void a_full_ext4_is_lived_through(void **state)
{
    (void)state;
    on_disk(mount_ext4);
}

int main(void)
{
    enum { SKIPPED = 77 };
    char disk[128];
    snprintf(place, sizeof place, "/tmp/tenure-full-XXXXXX");
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        printf("skipped: no mount namespace: %s\n", strerror(errno));
        return SKIPPED;
    }
    if (!mkdtemp(place))
        return 1;
    snprintf(disk, sizeof disk, "mkdir %s/disk", place);
    if (system(disk) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_tmpfs_is_lived_through),
        cmocka_unit_test(a_full_ext4_is_lived_through),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[256];
    snprintf(command, sizeof command, "umount %s/disk 2>/dev/null; rm -rf %s", place, place);
    return system(command) == 0 ? failed : 1;
}
