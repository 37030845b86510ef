/*
 * dead_letter.h - what the commands of `fluvio dead-letter` share.
 *
 * Purpose    Which topic, which partition, which letters.
 * Threads    One.
 * Ownership  The option table's.
 */
#ifndef FLV_CLI_DEAD_LETTER_H
#define FLV_CLI_DEAD_LETTER_H

#include "cli/letters.h"

struct cli_which_conf {
    char *topic;
    uint64_t partition;
    uint64_t start, end;
    char *connector;
    uint64_t stage;
};

/* clang-format off */
#define CLI_LETTERS_TOPIC(S, required)                                         \
    {.name = "topic", FLV_STR(S, which.topic),                                 \
     .flags = FLV_OPT_POSITIONAL | (required),                                 \
     .help = "The topic of dead letters"}
#define CLI_LETTERS_PARTITION(S)                                               \
    {.name = "partition", .letter = 'p', FLV_U64(S, which.partition),          \
     .arg = "integer", .max = INT32_MAX,                                       \
     .help = "Its partition, where it has several"}
/* The entries of an option table; S has a `struct cli_which_conf which`. */
#define CLI_WHICH_OPTS(S)                                                      \
    {.name = "start", FLV_U64(S, which.start), .arg = "offset",                \
     .max = INT64_MAX - 1,                                                     \
     .help = "Only letters from this offset on"},                              \
    {.name = "end", FLV_U64(S, which.end), .arg = "offset",                    \
     .max = INT64_MAX - 1,                                                     \
     .help = "Only letters up to this offset, itself included"},               \
    {.name = "connector", FLV_STR(S, which.connector), .arg = "name",          \
     .help = "Only letters of this connector"},                                \
    {.name = "stage", FLV_U64(S, which.stage), .arg = "number",                \
     .min = 1, .max = INT32_MAX,                                               \
     .help = "Only letters of this step of the chain, from 1"}
/* clang-format on */

struct cli_choice cli_choice_of(const struct cli_which_conf *which,
                                const struct flv_opts *opts);
/* -1: not given. */
int64_t cli_partition_of(const struct cli_which_conf *which,
                         const struct flv_opts *opts);
/* Prints it; usage errors as such. Returns the exit status. */
int cli_letters_fail(struct cli *c, const struct flv_err *err);
const char *cli_plural(uint64_t n); /* "" or "s" */

/* list without a topic: those that hold letters. */
int cli_letter_topics(struct cli *c, int output);

extern const struct flv_cmd cli_cmd_dead_letter_show;
extern const struct flv_cmd cli_cmd_dead_letter_replay;

#endif
