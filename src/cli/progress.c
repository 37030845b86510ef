#include "cli/progress.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define PERIOD_MS 100
#define BAR_CELLS 30

void cli_progress_start(struct cli_progress *p,
                        const char *what,
                        uint64_t total)
{
    *p = (struct cli_progress){.what = what,
                               .total = total,
                               .started_ms = flv_clock_mono_ms(),
                               .on = isatty(STDERR_FILENO) != 0};
}

static void print_bar(const struct cli_progress *p, uint64_t done)
{
    const uint64_t total = p->total > done ? p->total : done;
    const uint64_t cells = total > 0 ? done * BAR_CELLS / total : 0;
    char bar[BAR_CELLS + 1];
    for (uint64_t i = 0; i < BAR_CELLS; i++) {
        bar[i] = i < cells ? '#' : '.';
    }
    bar[BAR_CELLS] = '\0';
    const uint64_t ms = flv_clock_mono_ms() - p->started_ms;
    fprintf(stderr, "\r[%s] %" PRIu64 " of %" PRIu64 " %s, %" PRIu64 "/s\033[K",
            bar, done, total, p->what, ms > 0 ? done * 1000 / ms : 0);
    fflush(stderr);
}

void cli_progress_show(struct cli_progress *p, uint64_t done)
{
    const uint64_t now = flv_clock_mono_ms();
    if (!p->on || (p->shown && now - p->shown_ms < PERIOD_MS)) {
        return;
    }
    fflush(stdout);
    print_bar(p, done);
    p->shown = true;
    p->shown_ms = now;
}

void cli_progress_clear(struct cli_progress *p)
{
    if (p->shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        p->shown = false;
    }
}
