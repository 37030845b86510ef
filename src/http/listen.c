/* Listening sockets for servers. */
#include "http/server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 64

/* -1: errno says why. */
static int open_one(const struct addrinfo *a)
{
    int on = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    a->ai_protocol);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int sys = errno;
        (void)close(fd);
        errno = sys;
        return -1;
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    struct sockaddr_in6 six = {0};
    struct sockaddr_in four = {0};
    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        return 0;
    }
    memcpy(&six, &addr, sizeof(six));
    memcpy(&four, &addr, sizeof(four));
    return ntohs(addr.ss_family == AF_INET6 ? six.sin6_port : four.sin_port);
}

flv_rc flv_http_listen(const char *host,
                       uint16_t port,
                       int *out_fd,
                       uint16_t *out_port,
                       struct flv_err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[8];
    int fd = -1;
    (void)snprintf(service, sizeof(service), "%u", port);
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc != 0) {
        return flv_fail(err, FLV_E_IO, "cannot listen on %.100s: %s", host,
                        gai_strerror(rc));
    }
    for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = open_one(a);
    }
    int sys = errno;
    freeaddrinfo(list);
    if (fd < 0) {
        return flv_fail_sys(err, sys == EADDRINUSE ? FLV_E_EXISTS : FLV_E_IO,
                            sys, "cannot listen on port %u of %.100s", port,
                            host);
    }
    *out_fd = fd;
    *out_port = port_of(fd);
    return FLV_OK;
}
