/*
 * letters.h - a topic of dead letters, as the commands use it.
 *
 * Purpose    Reads stretches of a partition, keeps the ledger of the letters'
 *            topic up to its end, and appends settlements to it.
 * Threads    One thread; every call runs the loop until it is done.
 * Ownership  cli_letters_close() in any case; also of a zeroed one.
 * Errors     FLV_E_BUSY: somebody else settled letters at the same moment;
 *            the ledger is up to date again, so look anew. FLV_E_TIMEOUT: the
 *            cluster was silent for CLI_LETTERS_PATIENCE_MS; the text names
 *            the topic.
 */
#ifndef FLV_CLI_LETTERS_H
#define FLV_CLI_LETTERS_H

#include "cli/cli.h"
#include "cli/ledger.h"
#include "cli/letter.h"

#define CLI_LETTERS_PATIENCE_MS 30000

/* FLV_E_CANCELED without a text ends the reading, which then is FLV_OK. */
typedef flv_rc (*cli_batch_fn)(void *user,
                               const struct flv_record_batch *batch,
                               struct flv_err *err);

struct cli_stretch {
    const char *topic;
    uint32_t partition;
    int64_t first;        /* -1: the first one there is */
    int64_t last;         /* -1: the last one there is now */
    uint64_t patience_ms; /* of its silence; 0: CLI_LETTERS_PATIENCE_MS */
};
FLV_CHECKED flv_rc cli_read(struct cli *c,
                            const struct cli_stretch *what,
                            cli_batch_fn fn,
                            void *user,
                            struct flv_err *err);

/* Where each of the topic's partitions begins (or, with `end`, ends); out has
 * room for count, the topic's number of partitions. */
FLV_CHECKED flv_rc cli_positions(struct cli *c,
                                 const char *topic,
                                 bool end,
                                 uint32_t count,
                                 int64_t *out,
                                 struct flv_err *err);

struct cli_letters {
    struct cli *cli;   /* borrowed */
    const char *topic; /* borrowed */
    uint32_t partition;
    struct cli_ledger ledger;
    struct flv_producer *notes; /* owned; NULL before the first append */
};

/* Connects and reads the whole topic once. partition -1: the only one; a topic
 * of several is FLV_E_USAGE then. */
FLV_CHECKED flv_rc cli_letters_open(struct cli_letters *l,
                                    struct cli *c,
                                    const char *topic,
                                    int64_t partition,
                                    struct flv_err *err);
void cli_letters_close(struct cli_letters *l);
/* Reads what came to the topic since. */
FLV_CHECKED flv_rc cli_letters_update(struct cli_letters *l,
                                      struct flv_err *err);
/* Durable, and counts, when it returns FLV_OK. */
FLV_CHECKED flv_rc cli_letters_append(struct cli_letters *l,
                                      const struct flv_buf *settlement,
                                      struct flv_err *err);

/* Which letters are meant. */
struct cli_choice {
    int64_t first, last;   /* last -1: up to the end */
    const char *connector; /* NULL: of all */
    int64_t stage;         /* 0: of all */
    bool settled;          /* those that are not open as well */
};
/* letter NULL: the record is none, `why` says so. FLV_E_CANCELED as above. */
typedef flv_rc (*cli_letter_fn)(void *user,
                                const struct flv_record_view *record,
                                const struct cli_letter *letter,
                                const struct flv_err *why,
                                struct flv_err *err);
/* Calls for each of them in order, as of the last update. No call of `fn` may
 * wait for anything. */
FLV_CHECKED flv_rc cli_letters_each(struct cli_letters *l,
                                    const struct cli_choice *choice,
                                    cli_letter_fn fn,
                                    void *user,
                                    struct flv_err *err);

/* Opens a producer and waits until it is open. On failure there is none. */
FLV_CHECKED flv_rc cli_producer_open(struct cli *c,
                                     const struct flv_producer_conf *conf,
                                     struct flv_producer **out,
                                     struct flv_err *err);
/* Waits until it is gone; NULL is allowed. */
void cli_producer_close(struct cli *c, struct flv_producer *p);
/* Waits for the acknowledgement. *out_offset: of the first record. */
FLV_CHECKED flv_rc cli_producer_send(struct cli *c,
                                     struct flv_producer *p,
                                     const struct flv_msg *msgs,
                                     size_t count,
                                     int64_t *out_offset,
                                     struct flv_err *err);

#endif
