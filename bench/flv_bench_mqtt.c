/*
 * flv_bench_mqtt.c - a broker that has nothing else to do: sends messages of
 * QoS 1 to the one client that comes, as fast as its acknowledgements leave
 * room in a window. The load for the MQTT source.
 *
 *     flv-bench-mqtt MESSAGES BYTES WINDOW
 *
 * Prints `port=N`, and `per_s=N`, from the first message to the last
 * acknowledgement, when there is one for each. WINDOW is at most what the
 * client says it receives (receive-max). Ends with status 1 when the client
 * goes before.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tool.h"

#define TOPIC "bench/load"
#define BYTES_MAX 65536
#define OUT_BYTES ((size_t)128 * 1024)
#define PATIENCE_MS 60000

enum { PUBACK = 0x40, SUBSCRIBE = 0x82, PINGREQ = 0xc0 };

struct broker {
    int fd;
    uint64_t wanted, window, sent, acked;
    uint8_t message[BYTES_MAX + 64]; /* the identifier at id_at is missing */
    size_t size, id_at;
    uint8_t out[OUT_BYTES + BYTES_MAX + 64]; /* [out_pos, out_len) */
    size_t out_pos, out_len;
    uint8_t in[65536]; /* in_len bytes, no whole packet */
    size_t in_len;
    uint64_t begin_ns;
};

static size_t put_length(uint8_t *at, size_t n)
{
    size_t i = 0;
    do {
        at[i++] = (uint8_t)((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
        n >>= 7;
    } while (n > 0);
    return i;
}

static void make_message(struct broker *b, size_t bytes)
{
    const size_t topic = strlen(TOPIC);
    uint8_t *m = b->message;
    size_t n = 0;
    m[n++] = 0x32; /* PUBLISH, QoS 1 */
    n += put_length(m + n, 2 + topic + 2 + 1 + bytes);
    m[n++] = 0;
    m[n++] = (uint8_t)topic;
    memcpy(m + n, TOPIC, topic);
    b->id_at = n + topic;
    n = b->id_at + 2;
    m[n++] = 0; /* no properties */
    memset(m + n, 'x', bytes);
    b->size = n + bytes;
}

static int accept_one(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 ||
        bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) != 0) {
        die("cannot listen");
    }
    printf("port=%u\n", ntohs(at.sin_port));
    (void)fflush(stdout);
    struct pollfd p = {.fd = listener, .events = POLLIN};
    if (poll(&p, 1, PATIENCE_MS) != 1) {
        die("nobody comes");
    }
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        die("cannot accept");
    }
    (void)close(listener);
    return fd;
}

static void answer(struct broker *b, const void *bytes, size_t n)
{
    if (sizeof(b->out) - b->out_len < n) {
        die("the client reads nothing");
    }
    memcpy(b->out + b->out_len, bytes, n);
    b->out_len += n;
}

static void on_packet(struct broker *b, const uint8_t *body, uint8_t type)
{
    static const uint8_t connack[] = {0x20, 3, 0, 0, 0};
    static const uint8_t pingresp[] = {0xd0, 0};
    if (type == PUBACK) {
        b->acked++;
    } else if (type == SUBSCRIBE) {
        const uint8_t suback[] = {0x90, 4, body[0], body[1], 0, 1};
        answer(b, suback, sizeof(suback));
        b->begin_ns = flv_clock_mono_ns();
    } else if (type == PINGREQ) {
        answer(b, pingresp, sizeof(pingresp));
    } else {
        answer(b, connack, sizeof(connack));
    }
}

static void receive(struct broker *b)
{
    ssize_t got =
        recv(b->fd, b->in + b->in_len, sizeof(b->in) - b->in_len, MSG_DONTWAIT);
    if (got <= 0) {
        die("the client is gone");
    }
    b->in_len += (size_t)got;
    size_t pos = 0;
    while (b->in_len - pos >= 2) {
        size_t size = 2 + (size_t)b->in[pos + 1]; /* none is larger than 129 */
        if (b->in[pos + 1] > 0x7f) {
            die("the client sends a packet of more than 127 bytes");
        }
        if (b->in_len - pos < size) {
            break;
        }
        on_packet(b, b->in + pos + 2, b->in[pos]);
        pos += size;
    }
    memmove(b->in, b->in + pos, b->in_len - pos);
    b->in_len -= pos;
}

/* More messages, when what was there before is on its way. */
static void fill(struct broker *b)
{
    if (b->out_pos < b->out_len || b->begin_ns == 0) {
        return;
    }
    b->out_pos = b->out_len = 0;
    while (b->out_len < OUT_BYTES && b->sent < b->wanted &&
           b->sent - b->acked < b->window) {
        uint8_t *at = b->out + b->out_len;
        memcpy(at, b->message, b->size);
        const uint64_t id = b->sent % 65535 + 1;
        at[b->id_at] = (uint8_t)(id >> 8);
        at[b->id_at + 1] = (uint8_t)id;
        b->out_len += b->size;
        b->sent++;
    }
}

static void serve(struct broker *b)
{
    while (b->acked < b->wanted) {
        fill(b);
        struct pollfd p = {.fd = b->fd, .events = POLLIN};
        if (b->out_pos < b->out_len) {
            p.events |= POLLOUT;
        }
        if (poll(&p, 1, PATIENCE_MS) != 1) {
            die("the client does nothing");
        }
        if ((p.revents & POLLOUT) != 0) {
            ssize_t n =
                send(b->fd, b->out + b->out_pos, b->out_len - b->out_pos,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
            b->out_pos += n > 0 ? (size_t)n : 0;
        }
        if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            receive(b);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        die("usage: flv-bench-mqtt MESSAGES BYTES WINDOW");
    }
    struct broker *b = flv_zalloc(1, sizeof(*b));
    if (b == NULL) {
        die("out of memory");
    }
    b->wanted = number(argv[1], UINT64_C(1) << 40);
    make_message(b, number(argv[2], BYTES_MAX));
    b->window = number(argv[3], 65535);
    b->fd = accept_one();
    serve(b);
    const double took = (double)(flv_clock_mono_ns() - b->begin_ns) / 1e9;
    printf("per_s=%.0f\n", (double)b->wanted / took);
    (void)close(b->fd);
    flv_free(b);
    return 0;
}
