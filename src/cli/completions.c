#include "cli/cli.h"

#include <string.h>

#define SCRIPT_BYTES_MAX (1 << 20)

/* Every command with the words that may follow it:
 *   begin(path) word... end
 * in the syntax of one shell. */
struct shell {
    const char *head;
    void (*entry)(struct flv_buf *out, const char *path, const char *words);
    const char *tail;
};

/* The words behind a command: subcommands and options. */
static void collect_words(const struct flv_cmd *cmd, struct flv_buf *out)
{
    for (size_t i = 0; cmd->commands != NULL && cmd->commands[i] != NULL; i++) {
        if ((cmd->commands[i]->flags & FLV_CMD_HIDDEN) == 0) {
            cli_ignore(flv_buf_addf(out, "%s ", cmd->commands[i]->name));
        }
    }
    for (const struct flv_opt *o = cmd->opts; o != NULL && o->name != NULL;
         o++) {
        if ((o->flags & (FLV_OPT_POSITIONAL | FLV_OPT_HIDDEN)) == 0) {
            cli_ignore(flv_buf_addf(out, "--%s ", o->name));
        }
    }
    cli_ignore(flv_buf_add_str(out, "--help"));
}

static void walk(const struct shell *shell,
                 const struct flv_cmd *cmd,
                 const char *path,
                 struct flv_buf *out)
{
    char below[256];
    struct flv_buf words;
    flv_buf_init(&words, 16 << 10);
    collect_words(cmd, &words);
    const char *text = flv_buf_str(&words);
    if (text != NULL) {
        shell->entry(out, path, text);
    }
    flv_buf_deinit(&words);
    for (size_t i = 0; cmd->commands != NULL && cmd->commands[i] != NULL; i++) {
        snprintf(below, sizeof below, "%s %s", path, cmd->commands[i]->name);
        walk(shell, cmd->commands[i], below, out);
    }
}

/* Words that only this machine knows: the shell asks the program. */
static const char *asked_words(const char *path)
{
    static const struct {
        const char *path, *command;
    } all[] = {
        {"fluvio connector delete", "fluvio connector names"},
        {"fluvio connector describe", "fluvio connector names"},
        {"fluvio connector config", "fluvio connector names"},
        {"fluvio connector logs", "fluvio connector names"},
        {"fluvio connector events", "fluvio connector names"},
        {"fluvio connector pause", "fluvio connector names"},
        {"fluvio connector resume", "fluvio connector names"},
        {"fluvio connector restart", "fluvio connector names"},
        {"fluvio cluster connector delete", "fluvio connector names"},
        {"fluvio produce", "fluvio topic names"},
        {"fluvio consume", "fluvio topic names"},
        {"fluvio topic describe", "fluvio topic names"},
        {"fluvio topic delete", "fluvio topic names"},
        {"fluvio topic add-partition", "fluvio topic names"},
        {"fluvio dead-letter list", "fluvio topic names"},
        {"fluvio dead-letter show", "fluvio topic names"},
        {"fluvio dead-letter replay", "fluvio topic names"},
        {"fluvio dead-letter discard", "fluvio topic names"},
        {"fluvio smartmodule delete", "fluvio smartmodule names"},
        {"fluvio smartmodule describe", "fluvio smartmodule names"},
        {"fluvio smartmodule download", "fluvio smartmodule names"},
        {"fluvio table-format delete", "fluvio table-format names"},
        {"fluvio profile switch", "fluvio profile names"},
        {"fluvio profile rename", "fluvio profile names"},
        {"fluvio profile delete", "fluvio profile names"},
        {"fluvio profile export", "fluvio profile names"},
        {"fluvio secret delete", "fluvio secret names"},
        {"fluvio secret set", "fluvio secret names"},
        {"fluvio connector catalog", "fluvio connector names --types"},
        {"fluvio connector schema", "fluvio connector names --types"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i].path, path) == 0) {
            return all[i].command;
        }
    }
    return NULL;
}

static void case_entry(struct flv_buf *out, const char *path, const char *words)
{
    const char *command = asked_words(path);
    if (command == NULL) {
        cli_ignore(flv_buf_addf(out, "    '%s') words='%s' ;;\n", path, words));
    } else {
        cli_ignore(
            flv_buf_addf(out, "    '%s') words='%s '\"$(%s 2>/dev/null)\" ;;\n",
                         path, words, command));
    }
}

static void fish_entry(struct flv_buf *out, const char *path, const char *words)
{
    cli_ignore(flv_buf_addf(
        out, "complete -c fluvio -n '__fluvio_at \"%s\"' -a '%s'\n", path,
        words));
    if (asked_words(path) != NULL) {
        cli_ignore(flv_buf_addf(out,
                                "complete -c fluvio -n '__fluvio_at \"%s\"' -a "
                                "'(%s 2>/dev/null)'\n",
                                path, asked_words(path)));
    }
}

/* Values of options that only this machine knows; P1 and P2 are what a shell
 * writes around the command that tells them. */
#define VALUE_CASES(P1, P2)                                                    \
    "    -P|--profile) " P1 "fluvio profile names" P2 " ;;\n"                  \
    "    --table-format) " P1 "fluvio table-format names" P2 " ;;\n"           \
    "    --smartmodule|--sm) " P1 "fluvio smartmodule names" P2 " ;;\n"

/* In each script the path is the words so far that are no options. */
/* clang-format off */
static const struct shell bash_shell = {
    .head = "_fluvio() {\n"
            "    local path=fluvio words='' i\n"
            "    case ${COMP_WORDS[COMP_CWORD-1]} in\n"
            VALUE_CASES("words=$(", " 2>/dev/null)")
            "    esac\n"
            "    case ${COMP_WORDS[COMP_CWORD-1]} in\n"
            "    -P|--profile|--table-format|--smartmodule|--sm)\n"
            "        COMPREPLY=($(compgen -W \"$words\" -- "
            "\"${COMP_WORDS[COMP_CWORD]}\"))\n"
            "        return ;;\n"
            "    esac\n"
            "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
            "        case ${COMP_WORDS[i]} in\n"
            "        -*) ;;\n"
            "        *) path=\"$path ${COMP_WORDS[i]}\" ;;\n"
            "        esac\n"
            "    done\n"
            "    while :; do\n"
            "    case $path in\n",
    .entry = case_entry,
    .tail = "    esac\n"
            "    [ -n \"$words\" ] && break\n"
            "    path=${path% *}\n"
            "    done\n"
            "    COMPREPLY=($(compgen -W \"$words\" -- "
            "\"${COMP_WORDS[COMP_CWORD]}\"))\n"
            "}\n"
            "complete -o default -F _fluvio fluvio\n",
};

static const struct shell zsh_shell = {
    .head = "#compdef fluvio\n"
            "_fluvio() {\n"
            "    local cmd=fluvio found='' word\n"
            "    for word in ${words[2,CURRENT-1]}; do\n"
            "        case $word in\n"
            "        -*) ;;\n"
            "        *) cmd=\"$cmd $word\" ;;\n"
            "        esac\n"
            "    done\n"
            "    local -a list\n"
            "    case ${words[CURRENT-1]} in\n"
            VALUE_CASES("list=(${(f)\"$(",
                        " 2>/dev/null)\"}); compadd -a list; return")
            "    esac\n"
            "    found=$(_fluvio_words \"$cmd\")\n"
            "    list=(${=found})\n"
            "    compadd -a list\n"
            "}\n"
            "_fluvio_words() {\n"
            "    local path_of=$1 words=''\n"
            "    while :; do\n"
            "    case $path_of in\n",
    .entry = case_entry,
    .tail = "    esac\n"
            "    [ -n \"$words\" ] && break\n"
            "    path_of=${path_of% *}\n"
            "    done\n"
            "    print -r -- $words\n"
            "}\n"
            "compdef _fluvio fluvio\n",
};
/* clang-format on */

static const struct shell fish_shell = {
    .head = "function __fluvio_at\n"
            "    set -l path\n"
            "    for word in (commandline -opc)\n"
            "        string match -q -- '-*' $word; or set -a path $word\n"
            "    end\n"
            "    test \"$path\" = \"$argv[1]\"\n"
            "end\n"
            "complete -c fluvio -s P -l profile -x -a "
            "'(fluvio profile names 2>/dev/null)'\n"
            "complete -c fluvio -l table-format -x -a "
            "'(fluvio table-format names 2>/dev/null)'\n"
            "complete -c fluvio -l smartmodule -x -a "
            "'(fluvio smartmodule names 2>/dev/null)'\n",
    .entry = fish_entry,
    .tail = "",
};

static int print_script(const struct shell *shell)
{
    struct flv_buf out;
    flv_buf_init(&out, SCRIPT_BYTES_MAX);
    cli_ignore(flv_buf_add_str(&out, shell->head));
    walk(shell, &cli_cmd_root, cli_cmd_root.name, &out);
    flv_rc rc = flv_buf_add_str(&out, shell->tail);
    if (rc == FLV_OK) {
        cli_put(&out);
    }
    flv_buf_deinit(&out);
    return rc == FLV_OK ? 0 : cli_failf("out of memory for the script");
}

static int run_bash(struct flv_args *args, void *ctx)
{
    (void)args;
    (void)ctx;
    return print_script(&bash_shell);
}

static int run_zsh(struct flv_args *args, void *ctx)
{
    (void)args;
    (void)ctx;
    return print_script(&zsh_shell);
}

static int run_fish(struct flv_args *args, void *ctx)
{
    (void)args;
    (void)ctx;
    return print_script(&fish_shell);
}

static const struct flv_cmd bash_cmd = {.name = "bash",
                                        .about =
                                            "Generate CLI completions for bash",
                                        .run = run_bash};
static const struct flv_cmd zsh_cmd = {
    .name = "zsh", .about = "Generate CLI completions for zsh", .run = run_zsh};
static const struct flv_cmd fish_cmd = {.name = "fish",
                                        .about =
                                            "Generate CLI completions for fish",
                                        .run = run_fish};
static const struct flv_cmd *const completions_commands[] = {
    &bash_cmd, &zsh_cmd, &fish_cmd, NULL};

const struct flv_cmd cli_cmd_completions = {
    .name = "completions",
    .about = "Generate command-line completions for Fluvio",
    .commands = completions_commands,
};
