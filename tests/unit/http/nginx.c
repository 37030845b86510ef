#include "nginx.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT_MIN 16384u
#define PORT_END 32768u

static int listen_on(unsigned port, unsigned *out_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 ||
        listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        (void)close(fd);
        return -1;
    }
    *out_port = ntohs(at.sin_port);
    return fd;
}

int tcp_listen(unsigned *out_port)
{
    int fd = listen_on(0, out_port);
    if (fd < 0) {
        perror("tcp_listen");
    }
    return fd;
}

unsigned tcp_free_port(void)
{
    static unsigned dice;
    unsigned port = 0;
    int fd = -1;
    if (dice == 0) {
        dice = (unsigned)getpid() * 2654435761u;
    }
    for (int i = 0; fd < 0 && i < 1000; i++) {
        dice = dice * 1664525u + 1013904223u;
        fd = listen_on(PORT_MIN + (dice >> 8) % (PORT_END - PORT_MIN), &port);
    }
    if (fd < 0) {
        perror("tcp_free_port");
    }
    (void)close(fd);
    return port;
}

static bool run(const char *dir, const char *command)
{
    char line[1024];
    (void)snprintf(line, sizeof(line), "cd %s && { %s; } >tool.log 2>&1", dir,
                   command);
    int status = system(line);
    if (status != 0) {
        (void)fprintf(stderr, "failed in %s: %s\n", dir, command);
    }
    return status == 0;
}

static bool make_certificates(const struct nginx *n)
{
    return run(n->tmp.path,
               "openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
               "-subj '/CN=fluvio-c test CA' -keyout ca.key -out ca.pem && "
               "openssl req -newkey rsa:2048 -nodes -subj /CN=localhost "
               "-keyout tls.key -out tls.csr && "
               "printf 'subjectAltName=DNS:localhost\\n' > ext && "
               "openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key "
               "-CAcreateserial -days 2 -extfile ext -out tls.pem");
}

bool nginx_file(const struct nginx *n,
                const char *name,
                const char *text,
                size_t size)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/html/%s", n->tmp.path, name);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return false;
    }
    bool ok = fputs(text, file) >= 0;
    for (size_t i = strlen(text); i < size && ok; i++) {
        ok = fputc('.', file) != EOF;
    }
    return fclose(file) == 0 && ok;
}

static void put_locations(FILE *file, const char *text, unsigned port)
{
    const char *at;
    while ((at = strstr(text, "PORT")) != NULL) {
        (void)fprintf(file, "%.*s%u", (int)(at - text), text, port);
        text = at + 4;
    }
    (void)fputs(text, file);
}

static bool write_config(const struct nginx *n, const char *locations)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/nginx.conf", n->tmp.path);
    FILE *f = fopen(path, "w");
    if (f == NULL) {
        return false;
    }
    (void)fprintf(
        f,
        "%sdaemon off;\nworker_processes 1;\n"
        "error_log %s/error.log;\npid %s/nginx.pid;\n"
        "events { worker_connections 64; }\nhttp {\n"
        "client_body_temp_path %s/t1;\nproxy_temp_path %s/t2;\n"
        "fastcgi_temp_path %s/t3;\nuwsgi_temp_path %s/t4;\n"
        "scgi_temp_path %s/t5;\naccess_log %s/access.log;\n"
        "default_type text/plain;\nserver {\nlisten 127.0.0.1:%u;\n"
        "listen 127.0.0.1:%u ssl;\nserver_name localhost;\n"
        "ssl_certificate %s/tls.pem;\nssl_certificate_key %s/tls.key;\n"
        "root %s/html;\n",
        geteuid() == 0 ? "user root;\n" : "", n->tmp.path, n->tmp.path,
        n->tmp.path, n->tmp.path, n->tmp.path, n->tmp.path, n->tmp.path,
        n->tmp.path, n->port, n->tls_port, n->tmp.path, n->tmp.path,
        n->tmp.path);
    put_locations(f, locations, n->port);
    (void)fputs("}\n}\n", f);
    return fclose(f) == 0;
}

static void child(const struct nginx *n, int http, int https)
{
    char env[64], conf[128], log[128];
    (void)snprintf(env, sizeof(env), "%d;%d;", http, https);
    (void)snprintf(conf, sizeof(conf), "%s/nginx.conf", n->tmp.path);
    (void)snprintf(log, sizeof(log), "%s/error.log", n->tmp.path);
    (void)setenv("NGINX", env, 1);
    (void)fcntl(http, F_SETFD, 0);
    (void)fcntl(https, F_SETFD, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    int null = open("/dev/null", O_RDWR);
    (void)dup2(null, 1);
    (void)dup2(null, 2);
    (void)execlp("nginx", "nginx", "-p", n->tmp.path, "-c", conf, "-e", log,
                 (char *)NULL);
    (void)execl("/usr/sbin/nginx", "nginx", "-p", n->tmp.path, "-c", conf, "-e",
                log, (char *)NULL);
    _exit(127);
}

bool nginx_start(struct nginx *n, const char *locations)
{
    *n = (struct nginx){0};
    tmpdir_make(&n->tmp, "nginx");
    int http = tcp_listen(&n->port), https = tcp_listen(&n->tls_port);
    char html[128];
    if (http < 0 || https < 0) {
        return false;
    }
    (void)snprintf(html, sizeof(html), "%s/html", n->tmp.path);
    if (mkdir(html, 0755) != 0 || !make_certificates(n) ||
        !write_config(n, locations)) {
        return false;
    }
    n->pid = fork();
    if (n->pid == 0) {
        child(n, http, https);
    }
    (void)close(http);
    (void)close(https);
    return n->pid > 0;
}

void nginx_stop(struct nginx *n)
{
    if (n->pid > 0) {
        (void)kill(n->pid, SIGTERM);
        (void)waitpid(n->pid, NULL, 0);
    }
    if (n->tmp.path[0] != '\0') {
        tmpdir_remove(&n->tmp);
    }
}
