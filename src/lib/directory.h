/* The inside of a directory (tenure/directory.h): a region each, with a handle, a view of its registry and pickers.
 *
 * A region is told (`told`) when its view was listed and what answers there has said that it is that region; both are asked at once. Its
 * callbacks come on its handle's thread; what other threads look at is under the mutex. */
#ifndef LIB_DIRECTORY_H
#define LIB_DIRECTORY_H

#include <pthread.h>
#include <tenure/directory.h>

#include "lib/nearest.h"
#include "lib/region.h"
#include "lib/waiters.h"

enum { DIRECTORY_REGIONS_MAX = 64, DIRECTORY_STALE_MS = 15000 };

/* WHO_ANOTHER: or nobody may ask; either way it is not believed. */
enum directory_who { WHO_UNKNOWN, WHO_ASKED, WHO_RIGHT, WHO_ANOTHER };

struct directory_region {
    tenure_directory *directory;
    char *name, *endpoints;
    bool own;
    int64_t distance_ms;
    tenure_client *client; /* the program's own, where own is set */
    struct waiters waiters;
    tenure_picker *picker, *lax; /* lax: also those that do not serve; NULL where that is not wanted */
    /* Under the mutex: */
    tenure_service_view *view;
    enum directory_who who;
    bool listed, told, ended;
    bool heard;              /* it is being told, or was: lists have it */
    struct tenure_error why; /* of an end, or of who answers there */
};

struct tenure_directory {
    tenure_client *here;
    struct tenure_directory_options o; /* what it points to is gone, but what the callbacks are given */
    tn_ms until;                       /* what is waited for at most */
    pthread_mutex_t mutex;
    pthread_mutex_t telling; /* one callback at a time */
    bool is_closing;         /* under the mutex: nobody is asked any more */
    size_t n;
    struct directory_region regions[];
};

/* directory_view.c: of all regions, before one is followed, whose callbacks may list the others. */
void directory_prepare(struct directory_region *r);
/* Begins to follow a region; its view and its name are asked for. */
int directory_follow(struct directory_region *r, const char *service, struct tenure_error *err) MUST_USE;
/* Whether it is told; waits until the directory's time is over when wait is set. False: err says why not. Any thread but a loop's. */
bool directory_is_told(struct directory_region *r, bool wait, struct tenure_error *err);

#endif
