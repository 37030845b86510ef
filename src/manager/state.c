#include "manager/state.h"

#include <assert.h>

const char *flv_mstate_word(enum flv_mstate s)
{
#define WORD(name, word, kafka) [FLV_MSTATE_##name] = (word),
    static const char *const words[] = {FLV_MSTATE_MAP(WORD)};
#undef WORD
    assert(s < FLV_MSTATE_COUNT);
    return words[s];
}

const char *flv_mstate_kafka(enum flv_mstate s)
{
#define WORD(name, word, kafka) [FLV_MSTATE_##name] = (kafka),
    static const char *const words[] = {FLV_MSTATE_MAP(WORD)};
#undef WORD
    assert(s < FLV_MSTATE_COUNT);
    return words[s];
}
