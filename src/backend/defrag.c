/* A slice is one transaction that moves some of the last pages to free places; a batch that comes meanwhile waits for it, so
 * it is small. The file itself gets shorter when the WAL is copied back, which the last step does or, when there is more
 * than a little, leaves to the checkpoint. */
#include "backend/defrag.h"

#include "backend/append.h"

enum {
    SLICE_PAGES = 16,               /* about what a commit costs */
    SLICE_FRAMES = 3 * SLICE_PAGES, /* a page moved, what points to it, and the map of who points to whom */
    HELP_FRAMES = 1024,
};

static enum defrag_step judge(enum backend_outcome outcome)
{
    return outcome == BACKEND_APPLIED ? DEFRAG_MORE : outcome == BACKEND_NOT_APPLIED ? DEFRAG_FAILED : DEFRAG_BROKEN;
}

static enum defrag_step finish(struct db *d, struct checkpoint *c, struct tenure_error *err)
{
    if (d->wal_frames > HELP_FRAMES)
        return DEFRAG_DONE;
    return checkpoint_help(c, err) < 0 ? DEFRAG_BROKEN : DEFRAG_DONE;
}

static bool is_for_later(int code)
{
    return code == TENURE_ENOSPACE || code == TENURE_EBUSY || code == TENURE_ENOMEM;
}

enum defrag_step defrag_step(struct db *d, struct checkpoint *c, struct tenure_error *err)
{
    int64_t before = db_free_pages(d);
    if (before <= 0)
        return finish(d, c, err);
    if (checkpoint_is_behind(c))
        return DEFRAG_WAIT;
    int code = checkpoint_make_room(c, (int64_t)SLICE_FRAMES * DB_FRAME_SIZE, err);
    if (code)
        return is_for_later(code) ? DEFRAG_FAILED : DEFRAG_BROKEN;
    enum defrag_step step = judge(append_vacuum(d, SLICE_PAGES, err));
    if (step != DEFRAG_MORE)
        return step;
    checkpoint_after_commit(c);
    int64_t after = db_free_pages(d);
    return after >= 0 && after < before ? DEFRAG_MORE : finish(d, c, err); /* a file made before does not get smaller */
}
