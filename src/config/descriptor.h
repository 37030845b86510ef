/*
 * descriptor.h - a connector type as data: what --describe printed.
 *
 * Purpose    Reads the JSON of `fluvio-connect-NAME --describe`, the output of
 *            a program that anybody may have written, into a descriptor whose
 *            options are an ordinary option table: the same code that reads
 *            the program's own command line checks a file against it.
 * Threads    No sharing while parsing; read-only afterwards.
 * Ownership  The descriptor owns everything it hands out. Its options have no
 *            place in a struct: they are for looking at and for
 *            flv_opt_check(), never for flv_opts_init().
 * Errors     FLV_E_INVALID and FLV_E_LIMIT with a sentence that names the
 *            member. Members that are not known are ignored: descriptors may
 *            come from later versions.
 * See        docs/connectors.md, tests/fuzz/fuzz_descriptor.c
 */
#ifndef FLV_CONFIG_DESCRIPTOR_H
#define FLV_CONFIG_DESCRIPTOR_H

#include "base/opt.h"
#include "config/connector_file.h"

#define FLV_DESCRIPTOR_BYTES_MAX ((size_t)256 * 1024)
#define FLV_DESCRIPTOR_OPTIONS_MAX 256
#define FLV_DESCRIPTOR_WORDS_MAX                                               \
    64 /* choices, aliases, versions: each list                                \
        */
#define FLV_CONNECTOR_NAME_MAX 63

/* What a program understands besides running. */
enum {
    FLV_FEATURE_CHECK = 1 << 0, /* --check: reads everything, starts nothing */
    FLV_FEATURE_PROBE = 1 << 1, /* --probe: looks once at the far side */
    /* --secrets FILE: values for ${{ secrets.X }}; all that speak `control`. */
    FLV_FEATURE_SECRETS = 1 << 2,
};

struct flv_descriptor {
    struct flv_arena arena;      /* owns all texts and tables */
    const char *name;            /* "http" */
    const char *version;         /* "0.1.0" */
    const char *const *versions; /* all that are installed; ends with NULL */
    const char *summary;         /* one sentence, may be "" */
    const char *section;         /* key of the settings in `meta:` files */
    enum flv_cfile_direction direction;
    unsigned features;
    uint64_t control; /* version of the contract with a manager; 0: none */
    const struct flv_opt *opts; /* ends with a NULL name */
    size_t opt_count;
};

/* flv_descriptor_deinit() in any case. */
FLV_CHECKED flv_rc flv_descriptor_parse(struct flv_descriptor *out,
                                        struct flv_slice json,
                                        struct flv_err *err);
void flv_descriptor_deinit(struct flv_descriptor *d);

/* Letters, digits and `-`, as in the name of a program. */
bool flv_connector_type_ok(const char *name);
/* Name of an instance: lower case letters, digits, `-` and `.`, a letter or
 * digit at both ends, at most FLV_CONNECTOR_NAME_MAX. */
bool flv_connector_name_ok(const char *name);

/* Is the version of a file this one? NULL, "v1" and "latest" always are. */
bool flv_descriptor_has_version(const struct flv_descriptor *d,
                                const char *version);

/* A value that the option takes, for people to start from. */
FLV_CHECKED flv_rc flv_descriptor_example(const struct flv_opt *opt,
                                          struct flv_buf *out);

#endif
