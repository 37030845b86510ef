/* fuzz-libs: flv_client */
/* A profile file that anybody may have written: it is read or refused, and
 * what was read can be edited and read again. */
#include "client/toml.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void edit(struct flv__toml *doc)
{
    const struct flv__toml_path *added =
        FLV__TOML_PATH("cluster", "n", "endpoint");
    const char *text = NULL;

    if (flv__toml_set_str(doc, added, "a\"\n\\b", NULL) == FLV_OK) {
        text = flv__toml_str(doc, added);
        assert(text != NULL && strcmp(text, "a\"\n\\b") == 0);
    }
    if (flv__toml_rename(doc, FLV__TOML_PATH("cluster", "n"), "m. x", NULL) ==
        FLV_OK) {
        text =
            flv__toml_str(doc, FLV__TOML_PATH("cluster", "m. x", "endpoint"));
        (void)text;
    }
    if (flv__toml_remove(doc, FLV__TOML_PATH("cluster"), NULL) == FLV_OK) {
        assert(flv__toml_str(doc, added) == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv__toml *doc = NULL;
    struct flv__toml *again = NULL;
    struct flv_err err;

    if (flv__toml_parse(&doc, flv_slice(data, size), &err) != FLV_OK) {
        assert(err.rc != FLV_OK && err.text[0] != '\0');
        return 0;
    }
    for (size_t i = 0; i < 64; i++) {
        const char *name = flv__toml_child(doc, FLV__TOML_PATH("profile"), i);

        if (name == NULL) {
            break;
        }
        (void)flv__toml_str(doc, FLV__TOML_PATH("profile", name, "cluster"));
    }
    edit(doc);
    if (flv__toml_parse(&again, flv__toml_text(doc), &err) != FLV_OK) {
        assert(err.rc == FLV_E_NOMEM);
    }
    flv__toml_destroy(again);
    flv__toml_destroy(doc);
    return 0;
}
