#include "postgres.h"

#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

bool postgres_find(struct postgres *p)
{
    glob_t found;
    if (glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found) != 0) {
        return false;
    }
    const char *last = found.gl_pathv[found.gl_pathc - 1];
    (void)snprintf(p->bin, sizeof(p->bin), "%.*s",
                   (int)(strlen(last) - strlen("/postgres")), last);
    globfree(&found);
    return true;
}

/* Runs argv as the server's user, its output in LOG; returns its pid. */
static pid_t spawn(const struct postgres *p, char *const *argv)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    char log[128];
    (void)snprintf(log, sizeof(log), "%s/log", p->tmp.path);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    (void)prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (fd < 0 || getppid() != parent || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) {
        _exit(126);
    }
    if (getuid() == 0 && (setgroups(0, NULL) != 0 || setgid(p->gid) != 0 ||
                          setuid(p->uid) != 0)) {
        _exit(126);
    }
    /* Changing the user takes the wish above back. */
    (void)prctl(PR_SET_PDEATHSIG, SIGQUIT);
    execv(argv[0], argv);
    _exit(127);
}

static bool run(const struct postgres *p, char *const *argv)
{
    int status = 0;
    pid_t pid = spawn(p, argv);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        (void)fprintf(stderr, "%s: status %d, see %s/log\n", argv[0], status,
                      p->tmp.path);
        return false;
    }
    return true;
}

static bool ready(const struct postgres *p)
{
    char tool[160];
    (void)snprintf(tool, sizeof(tool), "%s/pg_isready", p->bin);
    char *argv[] = {tool, "-q", "-h", (char *)p->tmp.path, NULL};
    for (int i = 0; i < 600; i++) {
        int status = 0;
        pid_t pid = spawn(p, argv);
        if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0) {
            return true;
        }
        if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
            break;
        }
        usleep(50000);
    }
    (void)fprintf(stderr, "postgres is not ready, see %s/log\n", p->tmp.path);
    return false;
}

bool postgres_restart(struct postgres *p)
{
    char tool[160];
    (void)snprintf(tool, sizeof(tool), "%s/postgres", p->bin);
    char *argv[] = {tool,
                    "-D",
                    p->tmp.sub,
                    "-k",
                    p->tmp.path,
                    "-c",
                    "listen_addresses=",
                    "-c",
                    "shared_buffers=8MB",
                    NULL};
    p->pid = spawn(p, argv);
    return p->pid > 0 && ready(p);
}

bool postgres_start(struct postgres *p)
{
    char tool[160];
    tmpdir_make(&p->tmp, "pg");
    if (getuid() == 0) {
        const struct passwd *user = getpwnam("postgres");
        user = user != NULL ? user : getpwnam("nobody");
        if (user == NULL || chown(p->tmp.path, user->pw_uid, user->pw_gid)) {
            return false;
        }
        p->uid = user->pw_uid;
        p->gid = user->pw_gid;
    }
    (void)snprintf(p->url, sizeof(p->url), "postgres://pg@/postgres?host=%s",
                   p->tmp.path);
    (void)snprintf(tool, sizeof(tool), "%s/initdb", p->bin);
    char *argv[] = {tool,    "-D", p->tmp.sub, "-U", "pg",         "-A",
                    "trust", "-E", "UTF8",     "-N", "--locale=C", NULL};
    return run(p, argv) && postgres_restart(p);
}

static pid_t parent_of(const char *stat_path)
{
    char line[512];
    int parent = -1;
    FILE *file = fopen(stat_path, "r");
    if (file == NULL) {
        return -1;
    }
    if (fgets(line, sizeof(line), file) != NULL) {
        const char *behind = strrchr(line, ')');
        if (behind == NULL || sscanf(behind, ") %*c %d", &parent) != 1) {
            parent = -1;
        }
    }
    (void)fclose(file);
    return (pid_t)parent;
}

void postgres_kill(struct postgres *p)
{
    glob_t found;
    if (p->pid <= 0) {
        return;
    }
    /* Its children would live on for a moment, and may commit meanwhile. */
    (void)kill(p->pid, SIGSTOP);
    if (glob("/proc/[0-9]*/stat", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            int pid = 0;
            if (parent_of(found.gl_pathv[i]) == p->pid &&
                sscanf(found.gl_pathv[i], "/proc/%d", &pid) == 1) {
                (void)kill((pid_t)pid, SIGKILL);
            }
        }
        globfree(&found);
    }
    (void)kill(p->pid, SIGKILL);
    (void)waitpid(p->pid, NULL, 0);
    p->pid = 0;
}

void postgres_stop(struct postgres *p)
{
    if (p->pid > 0) {
        (void)kill(p->pid, SIGQUIT);
        (void)waitpid(p->pid, NULL, 0);
        p->pid = 0;
    }
    tmpdir_remove(&p->tmp);
}
