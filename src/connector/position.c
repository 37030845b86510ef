#include "connector/position.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"

flv_rc
flv__start_parse(const char *text, struct flv_start *out, struct flv_err *err)
{
    static const struct {
        const char *word;
        enum flv_start_kind kind;
        bool counts;
    } words[] = {
        {"beginning", FLV_START_BEGINNING, false},
        {"end", FLV_START_END, false},
        {"absolute:", FLV_START_ABSOLUTE, true},
        {"from-beginning:", FLV_START_FROM_BEGINNING, true},
        {"from-end:", FLV_START_FROM_END, true},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i].word);
        uint64_t n = 0;
        bool is = words[i].counts ? strncmp(text, words[i].word, len) == 0 &&
                                        flv_text_u64(text + len, 0, INT64_MAX,
                                                     &n, NULL) == FLV_OK
                                  : strcmp(text, words[i].word) == 0;
        if (is) {
            *out = (struct flv_start){.kind = words[i].kind, .n = (int64_t)n};
            return FLV_OK;
        }
    }
    return flv_fail(err, FLV_E_USAGE,
                    "start \"%.40s\": write beginning, end, absolute:N, "
                    "from-beginning:N or from-end:N",
                    text);
}

struct flv_start flv__position_start(struct flv_start asked, bool has_others)
{
    return has_others ? (struct flv_start){.kind = FLV_START_BEGINNING} : asked;
}

flv_rc flv__position_check(const struct flv_position_facts *f,
                           struct flv_err *err)
{
    /* Also when one is empty: a sink owns only what is of the same topic. */
    const bool ids = f->kept_id != NULL;
    if (f->next_offset < 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "the position %lld of \"%.40s\" in %.40s-%u is no "
                        "offset",
                        (long long)f->next_offset, f->consumer, f->topic,
                        f->partition);
    }
    if (ids && (f->topic_id[0] == '\0') != (f->kept_id[0] == '\0')) {
        return flv_fail(err, FLV_E_INVALID,
                        "whether the topic %.40s was made anew since \"%.40s\" "
                        "kept its position is not known: %s without the "
                        "topic's id; delete the position, or use another "
                        "consumer",
                        f->topic, f->consumer,
                        f->kept_id[0] == '\0' ? "it was kept"
                                              : "the server answers");
    }
    if (ids && strcmp(f->topic_id, f->kept_id) != 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "the topic %.40s was deleted and made anew: the "
                        "position of \"%.40s\" belongs to the old one; delete "
                        "the position, or use another consumer",
                        f->topic, f->consumer);
    }
    /* A server of Fluvio's that was killed may know an end that is too low
     * until the next record comes. What lies behind its log it refuses. */
    if (f->end >= 0 && f->next_offset > f->end && f->topic_id[0] != '\0') {
        return flv_fail(err, FLV_E_INVALID,
                        "the position %lld of \"%.40s\" is behind the end of "
                        "%.40s-%u (%lld): records were lost there; delete the "
                        "position to go on",
                        (long long)f->next_offset, f->consumer, f->topic,
                        f->partition, (long long)f->end);
    }
    if (f->end >= 0 && f->next_offset < f->first) {
        return flv_fail(err, FLV_E_INVALID,
                        "records %lld to %lld of %.40s-%u are gone before "
                        "\"%.40s\" had them; delete its position to go on",
                        (long long)f->next_offset, (long long)f->first - 1,
                        f->topic, f->partition, f->consumer);
    }
    return FLV_OK;
}
