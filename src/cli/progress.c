#include "cli/progress.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define PERIOD_MS 100
#define BAR_CELLS 30
#define COUNT_MAX FLV_TEXT_FORMAT_MAX

void cli_progress_start(struct cli_progress *p,
                        const char *what,
                        uint64_t total)
{
    *p = (struct cli_progress){.what = what,
                               .total = total,
                               .started_ms = flv_clock_mono_ms(),
                               .on = isatty(STDERR_FILENO) != 0};
}

static void
count_text(const struct cli_progress *p, uint64_t n, char out[COUNT_MAX])
{
    if (p->what == NULL) {
        flv_text_format_size(n, out);
    } else {
        snprintf(out, COUNT_MAX, "%" PRIu64, n);
    }
}

/* ", 2m 5s left", or nothing when it cannot be told. */
static void left_text(uint64_t left, uint64_t rate, char out[COUNT_MAX])
{
    out[0] = '\0';
    if (rate == 0 || left == 0) {
        return;
    }
    const uint64_t s = (left + rate - 1) / rate;
    if (s < 60) {
        snprintf(out, COUNT_MAX, ", %" PRIu64 "s left", s);
    } else if (s < 3600) {
        snprintf(out, COUNT_MAX, ", %" PRIu64 "m %" PRIu64 "s left", s / 60,
                 s % 60);
    } else {
        snprintf(out, COUNT_MAX, ", %" PRIu64 "h %" PRIu64 "m left", s / 3600,
                 s % 3600 / 60);
    }
}

static void print_bar(const struct cli_progress *p, uint64_t done)
{
    const uint64_t total = p->total > done ? p->total : done;
    const uint64_t cells =
        total > 0 ? (uint64_t)((double)done / (double)total * BAR_CELLS) : 0;
    const uint64_t ms = flv_clock_mono_ms() - p->started_ms;
    const uint64_t rate = ms > 0 ? done * 1000 / ms : 0;
    const char *what = p->what != NULL ? p->what : "";
    const char *gap = p->what != NULL ? " " : "";
    char bar[BAR_CELLS + 1];
    char so_far[COUNT_MAX], all[COUNT_MAX], speed[COUNT_MAX], left[COUNT_MAX];
    for (uint64_t i = 0; i < BAR_CELLS; i++) {
        bar[i] = i < cells ? '#' : '.';
    }
    bar[BAR_CELLS] = '\0';
    count_text(p, done, so_far);
    count_text(p, total, all);
    count_text(p, rate, speed);
    left_text(total - done, rate, left);
    if (p->total == 0) {
        fprintf(stderr, "\r%s%s%s, %s/s\033[K", so_far, gap, what, speed);
    } else {
        fprintf(stderr, "\r[%s] %s of %s%s%s, %s/s%s\033[K", bar, so_far, all,
                gap, what, speed, left);
    }
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
