#include "base/container.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How the kernel shows the owner of a file who has no number in here. */
#define UID_UNMAPPED 65534

bool flv_container_here(void)
{
    return access(FLV_CONTAINER_MARK, F_OK) == 0;
}

const char *flv_container_refused(const char *address)
{
    static const char *const loops[] = {"127.", "localhost", "::1", "[::1]"};

    for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
        if (strncmp(address, loops[i], strlen(loops[i])) == 0) {
            return "; in a container that is the container itself: run it with "
                   "--network host";
        }
    }
    return "";
}

void flv_container_unreadable(const char *path,
                              int sys,
                              char out[FLV_CONTAINER_HINT_MAX])
{
    struct stat st;
    const unsigned me = (unsigned)geteuid();

    out[0] = '\0';
    if (sys == EISDIR) {
        (void)snprintf(out, FLV_CONTAINER_HINT_MAX,
                       "; the host had no such file: remove the folder there "
                       "and start a cluster");
    } else if (sys == EACCES && stat(path, &st) != 0) {
        (void)snprintf(out, FLV_CONTAINER_HINT_MAX,
                       "; user %u of this container may not: run it with "
                       "--user and the owner's number",
                       me);
    } else if (sys == EACCES && st.st_uid == UID_UNMAPPED) {
        (void)snprintf(out, FLV_CONTAINER_HINT_MAX,
                       "; its owner is no user of this container: mount a "
                       "copy that everybody may read");
    } else if (sys == EACCES && st.st_uid != me) {
        (void)snprintf(out, FLV_CONTAINER_HINT_MAX,
                       "; it is user %u's and this container runs as user "
                       "%u: run it with --user %u",
                       (unsigned)st.st_uid, me, (unsigned)st.st_uid);
    }
}
