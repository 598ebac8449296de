/* top_screen.c - mtactl top on a terminal (ncurses) */
#include <curses.h>
#include <locale.h>
#include <stdio.h>
#include <sysexits.h>
#include <time.h>

#include "mtactl/top.h"

/* Lines that are not destinations or failures: title, queue, now, rates, three headings, the last one. */
#define FIXED 15

static void line_put(int row, struct strv line, bool title)
{
    char text[512];

    snprintf(text, sizeof text, "%.*s", (int)(line.n < 500 ? line.n : 500), line.n ? line.p : "");
    move(row, 0);
    if (title)
        attron(A_REVERSE);
    addnstr(text, COLS);
    if (title)
        attroff(A_REVERSE);
    clrtoeol();
}

static void draw(const struct top_look *before, const struct top_look *now, unsigned every)
{
    struct rows rows = { 0 };
    struct strv rest, line;
    struct buf text;
    char title[128], hour[32] = "";
    time_t at = time(NULL);
    struct tm tm;
    int row = 0;

    if (localtime_r(&at, &tm))
        strftime(hour, sizeof hour, "%H:%M:%S", &tm);
    snprintf(title, sizeof title, "mtactl top  %s  every %u s  q quits", hour, every);
    line_put(row++, SV(title), true);
    buf_init(&text, 1u << 20);
    if (now->code) {
        buf_addf(&text, "no answer: %s\n", now->why);
    } else {
        top_rows(before->code ? now : before, now, &rows);
        top_text(&rows, LINES > FIXED ? (size_t)(LINES - FIXED) / 2 : 1, &text);
    }
    for (rest = buf_view(&text); row < LINES && strv_cut(&rest, '\n', &line); row++)
        line_put(row, line, false);
    move(row < LINES ? row : LINES - 1, 0);
    if (row < LINES)
        clrtobot();
    refresh();
    buf_clear(&text);
    rows_clear(&rows);
}

/* True when the user has seen enough. */
static bool keys(void)
{
    int key = getch();

    return key == 'q' || key == 'Q';
}

int top_screen(struct tool *t, unsigned every)
{
    struct top_look looks[2];
    unsigned now = 0;
    SCREEN *screen;

    setlocale(LC_CTYPE, "");
    screen = newterm(NULL, stdout, stdin);
    if (!screen)
        return tool_end(t, EX_UNAVAILABLE, "this terminal cannot be drawn on (TERM); mtactl top --once");
    cbreak();
    noecho();
    curs_set(0);
    timeout((int)every * 1000);
    top_look_init(&looks[0]);
    top_look_init(&looks[1]);
    top_look_take(&looks[0], t);
    looks[1].code = -1;
    do {
        draw(&looks[1 - now], &looks[now], every);
        now = 1 - now;
        if (keys())
            break;
        top_look_take(&looks[now], t);
    } while (true);
    endwin();
    delscreen(screen);
    top_look_clear(&looks[0]);
    top_look_clear(&looks[1]);
    return 0;
}
