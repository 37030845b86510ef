/* Names of net.h, looked up off the loop. */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/field.h"
#include "base/mem.h"
#include "loop/net_priv.h"

#define LOOKUPS_MAX 16
#define STACK_BYTES (512U << 10)

/* One per loop. It outlives the loop while a thread still sits in a lookup:
 * the gate tells that thread whether there is a loop to report to. */
struct flv__resolver {
    pthread_mutex_t gate;
    struct flv_loop *loop; /* gate: borrowed, NULL when the loop is gone */
    size_t refs;           /* gate: the loop and each thread */
    struct flv__lookup *lookups; /* the loop's thread: under way */
    size_t count;                /* the loop's thread */
};

struct flv__lookup {
    struct flv_task report;
    struct flv__resolver *resolver; /* borrowed, held by refs */
    struct flv__lookup *next, *prev;
    void (*found)(void *ctx, int gai, const struct addrinfo *list);
    void *ctx;             /* borrowed */
    bool canceled;         /* the loop's thread */
    bool finished;         /* gate: the thread is through */
    struct addrinfo *list; /* owned by getaddrinfo() */
    int gai;
    char host[];
};

static void resolver_unref(struct flv__resolver *r)
{
    size_t refs;

    pthread_mutex_lock(&r->gate);
    assert(r->refs > 0);
    refs = --r->refs;
    pthread_mutex_unlock(&r->gate);
    if (refs == 0) {
        pthread_mutex_destroy(&r->gate);
        flv_free(r);
    }
}

static void lookup_free(struct flv__lookup *l)
{
    if (l->list != NULL) {
        freeaddrinfo(l->list);
    }
    flv_free(l);
}

static void *lookup_thread(void *arg)
{
    struct flv__lookup *l = arg;
    struct flv__resolver *r = l->resolver;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG};
    bool orphan;

    l->gai = getaddrinfo(l->host, NULL, &hints, &l->list);
    pthread_mutex_lock(&r->gate);
    orphan = r->loop == NULL;
    l->finished = true;
    if (!orphan) {
        flv__loop_push(r->loop, &l->report);
    }
    pthread_mutex_unlock(&r->gate);
    if (orphan) {
        lookup_free(l);
    }
    resolver_unref(r);
    return NULL;
}

static void forget(struct flv__resolver *r, struct flv__lookup *l)
{
    *(l->prev != NULL ? &l->prev->next : &r->lookups) = l->next;
    if (l->next != NULL) {
        l->next->prev = l->prev;
    }
    assert(r->count > 0);
    r->count--;
}

static void report_cb(struct flv_task *t)
{
    struct flv__lookup *l = FLV_OWNER_OF(t, struct flv__lookup, report);
    struct flv__resolver *r = l->resolver;

    forget(r, l);
    if (!l->canceled) {
        flv_loop_release(r->loop);
        l->found(l->ctx, l->gai, l->list);
    }
    lookup_free(l);
}

static struct flv__resolver *resolver_of(struct flv_loop *loop)
{
    if (loop->resolver == NULL) {
        loop->resolver = flv_zalloc(1, sizeof(*loop->resolver));
        if (loop->resolver != NULL) {
            pthread_mutex_init(&loop->resolver->gate, NULL);
            loop->resolver->loop = loop;
            loop->resolver->refs = 1;
        }
    }
    return loop->resolver;
}

static int start_thread(struct flv__lookup *l)
{
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_t thread;
    int rc = pthread_attr_init(&attr);

    if (rc != 0) {
        return rc;
    }
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attr, lookup_thread, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

static void set_refs(struct flv__resolver *r, bool more)
{
    pthread_mutex_lock(&r->gate);
    r->refs = more ? r->refs + 1 : r->refs - 1;
    pthread_mutex_unlock(&r->gate);
}

flv_rc flv__lookup_start(struct flv__lookup **out,
                         struct flv_loop *loop,
                         const char *host,
                         void (*found)(void *ctx,
                                       int gai,
                                       const struct addrinfo *list),
                         void *ctx,
                         struct flv_err *err)
{
    struct flv__resolver *r = resolver_of(loop);
    size_t size = strlen(host) + 1;
    struct flv__lookup *l;

    if (r != NULL && r->count == LOOKUPS_MAX) {
        return flv_fail(err, FLV_E_BUSY, "%d names are being looked up already",
                        LOOKUPS_MAX);
    }
    l = r != NULL ? flv_zalloc(1, sizeof(*l) + size) : NULL;
    if (l == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory to look up a name");
    }
    memcpy(l->host, host, size);
    flv_task_init(&l->report, report_cb);
    l->resolver = r;
    l->found = found;
    l->ctx = ctx;
    set_refs(r, true);
    if (start_thread(l) != 0) {
        set_refs(r, false);
        flv_free(l);
        return flv_fail(err, FLV_E_NOMEM, "no thread to look up a name");
    }
    l->next = r->lookups;
    if (l->next != NULL) {
        l->next->prev = l;
    }
    r->lookups = l;
    r->count++;
    flv_loop_hold(loop);
    *out = l;
    return FLV_OK;
}

void flv__lookup_cancel(struct flv__lookup *l)
{
    assert(!l->canceled);
    l->canceled = true;
    flv_loop_release(l->resolver->loop);
}

void flv__resolver_detach(struct flv__resolver *r)
{
    struct flv__lookup *l, *next;
    struct flv_loop *loop;

    if (r == NULL) {
        return;
    }
    pthread_mutex_lock(&r->gate);
    loop = r->loop;
    r->loop = NULL;
    for (l = r->lookups; l != NULL; l = next) {
        next = l->next;
        assert(l->canceled);
        /* One that is through lies in the mailbox; the others free
         * themselves. */
        if (l->finished) {
            flv_loop_undefer(loop, &l->report);
            lookup_free(l);
        }
    }
    pthread_mutex_unlock(&r->gate);
    resolver_unref(r);
}
