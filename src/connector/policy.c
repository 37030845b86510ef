#include "connector/policy.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"

static const char *const names[] = {
    [FLV_POLICY_HALT] = "halt",
    [FLV_POLICY_RETRY] = "retry",
    [FLV_POLICY_DISCARD] = "discard",
    [FLV_POLICY_DEAD_LETTER] = "dead-letter",
};

const char *flv__policy_name(enum flv_policy_kind kind)
{
    assert((size_t)kind < sizeof(names) / sizeof(names[0]));
    return names[kind];
}

/* The text behind "NAME:", or NULL. */
static const char *value_of(const char *text, enum flv_policy_kind kind)
{
    size_t len = strlen(names[kind]);
    bool is = strncmp(text, names[kind], len) == 0 && text[len] == ':';
    return is ? text + len + 1 : NULL;
}

flv_rc
flv__policy_parse(const char *text, struct flv_policy *out, struct flv_err *err)
{
    struct flv_policy p = {.kind = FLV_POLICY_HALT};
    const char *retries = value_of(text, FLV_POLICY_RETRY);
    const char *topic = value_of(text, FLV_POLICY_DEAD_LETTER);
    uint64_t n = 0;
    if (retries != NULL) {
        p.kind = FLV_POLICY_RETRY;
        if (flv_text_u64(retries, 1, FLV_RETRIES_MAX, &n, NULL) != FLV_OK) {
            return flv_fail(err, FLV_E_USAGE,
                            "\"%.40s\": retry:N takes a number from 1 to %d",
                            text, FLV_RETRIES_MAX);
        }
        p.retries = (uint32_t)n;
    } else if (topic != NULL && topic[0] != '\0') {
        p.kind = FLV_POLICY_DEAD_LETTER;
        p.topic = topic;
    } else if (strcmp(text, names[FLV_POLICY_DISCARD]) == 0) {
        p.kind = FLV_POLICY_DISCARD;
    } else if (strcmp(text, names[FLV_POLICY_HALT]) != 0) {
        return flv_fail(err, FLV_E_USAGE,
                        "\"%.40s\" is none of halt, discard, retry:N and "
                        "dead-letter:TOPIC",
                        text);
    }
    *out = p;
    return FLV_OK;
}
