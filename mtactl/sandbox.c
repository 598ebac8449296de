/* sandbox.c - what the kernel says of each process and thread, and who talks to whom */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mtactl/ask.h"
#include "mtactl/command.h"

static const struct {
    const char *key, *name;
} fields[] = {
    { "Uid:", "uid" },         { "Groups:", "groups" },       { "NoNewPrivs:", "no_new_privs" },
    { "Seccomp:", "seccomp" }, { "CapEff:", "capabilities" },
};

/* The second word of a line: of "Uid:" the real one; the whole rest of "Groups:". */
static void status_field(struct row *r, const char *name, struct strv line)
{
    struct strv rest = line, word = SV_LIT("");

    strv_word(&rest, &word);
    rest = strv_trim(rest.p ? rest : SV_LIT(""));
    if (strcmp(name, "groups") != 0 && strv_word(&rest, &word))
        rest = word;
    row_put(r, name, rest.n ? rest : SV_LIT("-"));
}

static void status_read(struct row *r, const char *path)
{
    char line[1024];
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof line, f))
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
            if (strncmp(line, fields[i].key, strlen(fields[i].key)) == 0)
                status_field(r, fields[i].name, strv_trim(SV(line)));
    if (f)
        fclose(f);
}

static void root_read(struct row *r, uint64_t pid)
{
    char path[64], target[4096];
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%" PRIu64 "/root", pid);
    n = readlink(path, target, sizeof target);
    row_put(r, "root", n > 0 ? strv_make(target, (size_t)n) : SV_LIT("? (needs root)"));
}

static void threads_add(struct rows *rows, const struct row *daemon)
{
    uint64_t pid = row_number(daemon, "pid");
    char path[600];
    const struct dirent *e;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%" PRIu64 "/task", pid);
    dir = pid ? opendir(path) : NULL;
    while (dir && (e = readdir(dir)) != NULL) {
        struct row *r;

        if (e->d_name[0] == '.')
            continue;
        r = rows_add(rows, "thread");
        row_put(r, "daemon", row_text(daemon, "name"));
        row_put_number(r, "index", row_number(daemon, "index"));
        row_put_number(r, "pid", pid);
        row_put(r, "thread", SV(e->d_name));
        snprintf(path, sizeof path, "/proc/%" PRIu64 "/task/%s/status", pid, e->d_name);
        status_read(r, path);
        root_read(r, pid);
    }
    if (dir)
        closedir(dir);
}

int command_sandbox(struct tool *t, int argc, char **argv)
{
    struct rows all = { 0 }, threads = { 0 }, edges = { 0 };
    struct ask a = { .role = ROLE_MTAD, .act = "status", .row = ask_collect, .arg = &all };
    struct ask b = { .role = ROLE_MTAD, .act = "edges", .row = ask_collect, .arg = &edges };

    (void)argc;
    (void)argv;
    if (ask_run(&a, t) == 0 && ask_run(&b, t) == 0) {
        for (size_t i = 0; i < all.n; i++)
            if (strcmp(all.list[i].kind, "daemon") == 0)
                threads_add(&threads, &all.list[i]);
        tool_rows(t, &threads);
        if (!t->json)
            buf_addc(&t->out, '\n');
        tool_rows(t, &edges);
    }
    rows_clear(&all);
    rows_clear(&threads);
    rows_clear(&edges);
    return tool_end(t, a.code ? a.code : b.code, "%s", a.code ? a.text : b.text);
}
