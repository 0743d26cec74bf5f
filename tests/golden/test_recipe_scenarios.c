/* Stories of locks, elections and sessions; the sentences are those of story.h. */
#include "scenario.h"
#include "story.h"

int main(int argc, char **argv)
{
    static const struct scenario_play play = {story_begin, story_tell, story_end};
    return scenario_main(argc, argv, &play);
}
