#include "marks.h"

#include <assert.h>

#include "base/mem.h"

void http_marks_deinit(struct http_marks *m)
{
    for (size_t i = 0; i < m->count; i++) {
        flv_free(m->ring[(m->head + i) % HTTP_MARKS_MAX].id);
    }
    flv_free(m->durable);
    *m = (struct http_marks){.durable = NULL};
}

void http_marks_add(struct http_marks *m, uint64_t number, struct flv_slice id)
{
    char *copy = flv_slice_dup(id);
    if (copy == NULL) {
        return;
    }
    if (m->count == HTTP_MARKS_MAX) {
        m->count--;
        flv_free(m->ring[(m->head + m->count) % HTTP_MARKS_MAX].id);
    }
    m->ring[(m->head + m->count) % HTTP_MARKS_MAX] =
        (struct http_mark){.number = number, .id = copy};
    m->count++;
    (void)http_marks_settled(m, m->settled);
}

bool http_marks_settled(struct http_marks *m, uint64_t upto)
{
    bool moved = false;
    assert(upto >= m->settled);
    m->settled = upto;
    while (m->count > 0 && m->ring[m->head].number <= upto) {
        flv_free(m->durable);
        m->durable = m->ring[m->head].id;
        m->head = (m->head + 1) % HTTP_MARKS_MAX;
        m->count--;
        moved = true;
    }
    return moved;
}
