/*
 * flv_bench_http.c - what plain libcurl reaches: the requests that http-sink
 * makes, but of one body, several in flight over as many connections, each easy
 * handle used again. The ruler for http-sink.
 *
 *     flv-bench-http URL REQUESTS IN_FLIGHT BODY_BYTES
 */
#include <curl/curl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tool.h"

#define IN_FLIGHT_MAX 256
#define BODY_MAX 1048576

struct call {
    CURL *easy;
    struct curl_slist *headers;
    char key[64];
};

static size_t drop(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    (void)arg;
    return size * count;
}

/* A key of its own for each request, as http-sink has. */
static void send_next(CURLM *multi, struct call *c, uint64_t n)
{
    (void)snprintf(c->key, sizeof(c->key), "Idempotency-Key: bench/0/%llu",
                   (unsigned long long)n);
    curl_slist_free_all(c->headers);
    c->headers = curl_slist_append(NULL, "Content-Type: text/html");
    c->headers = curl_slist_append(c->headers, c->key);
    c->headers = curl_slist_append(c->headers, "Expect:");
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
    if (curl_multi_add_handle(multi, c->easy) != CURLM_OK) {
        die("curl_multi_add_handle");
    }
}

static void prepare(struct call *c, const char *url, const char *body, long len)
{
    c->easy = curl_easy_init();
    if (c->easy == NULL) {
        die("curl_easy_init");
    }
    curl_easy_setopt(c->easy, CURLOPT_URL, url);
    curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, len);
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(c->easy, CURLOPT_USERAGENT,
                     "fluvio/http-sink " FLV_VERSION);
    curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(c->easy, CURLOPT_PRIVATE, (char *)c);
}

/* How many of those that ended were not answered with 2xx. */
static uint64_t
take(CURLM *multi, uint64_t *sent, uint64_t total, uint64_t *done)
{
    CURLMsg *msg;
    uint64_t bad = 0;
    int left;
    while ((msg = curl_multi_info_read(multi, &left)) != NULL) {
        struct call *c = NULL;
        long status = 0;
        CURL *easy = msg->easy_handle;
        CURLcode rc = msg->data.result;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&c);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        bad += rc != CURLE_OK || status / 100 != 2;
        curl_multi_remove_handle(multi, easy);
        (*done)++;
        if (*sent < total) {
            send_next(multi, c, (*sent)++);
        }
    }
    return bad;
}

int main(int argc, char **argv)
{
    static struct call calls[IN_FLIGHT_MAX];
    static char body[BODY_MAX];
    if (argc != 5) {
        die("usage: flv-bench-http URL REQUESTS IN_FLIGHT BODY_BYTES");
    }
    uint64_t total = number(argv[2], UINT32_MAX);
    uint64_t width = number(argv[3], IN_FLIGHT_MAX);
    uint64_t size = number(argv[4], BODY_MAX), sent = 0, done = 0, bad = 0;
    CURLM *multi = curl_multi_init();
    for (uint64_t i = 0; i < size; i++) {
        body[i] = (char)('a' + i % 26);
    }
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)width);
    double cpu = cpu_seconds();
    uint64_t begin = flv_clock_mono_ns();
    for (uint64_t i = 0; i < width && sent < total; i++) {
        prepare(&calls[i], argv[1], body, (long)size);
        send_next(multi, &calls[i], sent++);
    }
    while (done < total) {
        int running = 0;
        if (curl_multi_perform(multi, &running) != CURLM_OK) {
            die("curl_multi_perform");
        }
        bad += take(multi, &sent, total, &done);
        if (done < total && running > 0 &&
            curl_multi_poll(multi, NULL, 0, 1000, NULL) != CURLM_OK) {
            die("curl_multi_poll");
        }
    }
    double s = (double)(flv_clock_mono_ns() - begin) / 1e9;
    (void)printf("per_s=%.0f cpu_us=%.1f bad=%llu\n", (double)total / s,
                 (cpu_seconds() - cpu) * 1e6 / (double)total,
                 (unsigned long long)bad);
    for (uint64_t i = 0; i < width; i++) {
        curl_easy_cleanup(calls[i].easy);
        curl_slist_free_all(calls[i].headers);
    }
    curl_multi_cleanup(multi);
    return 0;
}
