/* Edit distance and "did you mean" of text.h. */
#include "base/text.h"

#include <string.h>

#define WORD_MAX 64U

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

size_t flv_text_distance(const char *a, const char *b)
{
    size_t la = strnlen(a, WORD_MAX + 1), lb = strnlen(b, WORD_MAX + 1);
    size_t row[WORD_MAX + 1];

    if (la > WORD_MAX || lb > WORD_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= lb; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1,
                           diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[lb];
}

void flv_nearest_init(struct flv_nearest *n, const char *word)
{
    *n = (struct flv_nearest){.word = word, .distance = SIZE_MAX};
}

void flv_nearest_offer(struct flv_nearest *n, const char *known)
{
    size_t len = strlen(n->word);
    size_t distance = flv_text_distance(n->word, known);

    /* A word that was only begun is as near as one slip. */
    if (len >= 3 && strncmp(n->word, known, len) == 0 && distance > 1) {
        distance = 1;
    }
    if (distance < n->distance) {
        n->distance = distance;
        n->best = known;
    }
}

const char *flv_nearest_get(const struct flv_nearest *n)
{
    size_t len = strlen(n->word);

    return n->best != NULL && n->distance <= (len + 2) / 3 ? n->best : NULL;
}

const char *flv_text_nearest(const char *word, const char *const *known)
{
    struct flv_nearest n;

    flv_nearest_init(&n, word);
    for (; *known != NULL; known++) {
        flv_nearest_offer(&n, *known);
    }
    return flv_nearest_get(&n);
}
