/* options.c - the command line of sendmail, mailq and newaliases */
#include "postdrop/options.h"

#include <stdio.h>
#include <string.h>

enum value {
    NONE,     /* may stand together with others: -ti */
    NEEDED,   /* behind the letter, or the next argument */
    ATTACHED, /* only behind the letter, and may be missing */
};

struct row {
    char letter;
    enum value value;
    bool (*take)(struct options *o, const char *value, struct err *err); /* NULL: ignored */
};

static bool take_mode(struct options *o, const char *v, struct err *err)
{
    static const struct {
        char letter;
        enum sendmail_mode mode;
    } modes[] = {
        { 'm', MODE_SUBMIT }, { 'a', MODE_SMTP },    { 's', MODE_SMTP },
        { 'p', MODE_QUEUE },  { 'i', MODE_ALIASES }, { 'v', MODE_VERIFY },
        { 'd', MODE_DAEMON }, { 'D', MODE_DAEMON },  { 'l', MODE_DAEMON },
    };

    (void)err;
    o->mode = MODE_UNKNOWN;
    o->mode_letter = *v;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (*v == modes[i].letter)
            o->mode = modes[i].mode;
    return true;
}

static bool take_sender(struct options *o, const char *v, struct err *err)
{
    struct strv s = strv_trim(SV(v));

    if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
        s = strv_trim(strv_sub(s, 1, s.n - 2));
    if (o->has_sender && !strv_eq(o->sender, s))
        return err_set(err, ERR_PERM, "two different senders were given");
    o->has_sender = true;
    o->sender = s;
    return true;
}

static bool take_name(struct options *o, const char *v, struct err *err)
{
    (void)err;
    o->name = v;
    return true;
}

static bool take_conf(struct options *o, const char *v, struct err *err)
{
    (void)err;
    o->conf = v;
    return true;
}

static bool take_setting(struct options *o, const char *v, struct err *err)
{
    (void)v;
    (void)err;
    return o->setting = true;
}

static bool take_envid(struct options *o, const char *v, struct err *err)
{
    (void)err;
    o->envid = v;
    return true;
}

static bool take_extract(struct options *o, const char *v, struct err *err)
{
    (void)v;
    (void)err;
    return o->extract = true;
}

static bool take_dots(struct options *o, const char *v, struct err *err)
{
    (void)v;
    (void)err;
    return o->dots = true;
}

static bool take_verbose(struct options *o, const char *v, struct err *err)
{
    (void)v;
    (void)err;
    return o->verbose = true;
}

/* -oi, -ot, -of...; everything else sets what this program has no use for. */
static bool take_set(struct options *o, const char *v, struct err *err)
{
    (void)err;
    o->dots |= strcmp(v, "i") == 0;
    o->extract |= strcmp(v, "t") == 0;
    o->verbose |= strcmp(v, "v") == 0;
    return true;
}

static bool take_ret(struct options *o, const char *v, struct err *err)
{
    if (strv_iis(SV(v), "full"))
        o->ret = 1;
    else if (strv_iis(SV(v), "hdrs"))
        o->ret = 2;
    else
        return err_set(err, ERR_PERM, "-R takes full or hdrs");
    return true;
}

static bool take_notify(struct options *o, const char *v, struct err *err)
{
    static const char *const words[] = { "never", "success", "failure", "delay" };
    struct strv rest = SV(v), word;

    o->notify = 0;
    while (strv_cut(&rest, ',', &word)) {
        uint64_t bit = 0;

        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (strv_iis(strv_trim(word), words[i]))
                bit = 1u << i;
        o->notify |= bit;
        if (!bit || ((o->notify & 1) && o->notify != 1))
            return err_set(err, ERR_PERM, "-N takes never, or some of success,failure,delay");
    }
    return true;
}

/* -q, -qf, -qRtext, -qSsender, -qIid; -q1h would be a daemon. */
static bool take_queue(struct options *o, const char *v, struct err *err)
{
    (void)err;
    if (*v && strchr("RSI", *v)) {
        o->mode = MODE_FLUSH;
        o->select = *v;
        o->match = v + 1;
        return true;
    }
    o->mode = (*v == '\0' || strcmp(v, "f") == 0) && o->mode != MODE_DAEMON ? MODE_FLUSH : MODE_DAEMON;
    return true;
}

static bool take_debug(struct options *o, const char *v, struct err *err)
{
    (void)err;
    if (strncmp(v, "0.", 2) == 0 || strcmp(v, "0") == 0)
        o->mode = MODE_VERSION;
    return true;
}

/* Those without a function are taken and ignored: they say how sendmail should be what this host is anyway,
   or name files that only its own configuration names here. */
static const struct row rows[] = {
    { 'A', NEEDED, NULL },         { 'B', NEEDED, NULL },        { 'C', NEEDED, take_conf },
    { 'D', NEEDED, NULL },         { 'E', NONE, NULL },          { 'F', NEEDED, take_name },
    { 'G', NONE, NULL },           { 'I', NONE, NULL },          { 'J', NONE, NULL },
    { 'L', NEEDED, NULL },         { 'M', NEEDED, NULL },        { 'N', NEEDED, take_notify },
    { 'O', NEEDED, take_setting }, { 'Q', ATTACHED, NULL },      { 'R', NEEDED, take_ret },
    { 'T', ATTACHED, NULL },       { 'U', NONE, NULL },          { 'V', NEEDED, take_envid },
    { 'X', NEEDED, NULL },         { 'b', NEEDED, take_mode },   { 'c', NONE, NULL },
    { 'd', ATTACHED, take_debug }, { 'e', ATTACHED, NULL },      { 'f', NEEDED, take_sender },
    { 'h', NEEDED, NULL },         { 'i', NONE, take_dots },     { 'm', NONE, NULL },
    { 'n', NONE, NULL },           { 'o', NEEDED, take_set },    { 'p', NEEDED, NULL },
    { 'q', ATTACHED, take_queue }, { 'r', NEEDED, take_sender }, { 's', NONE, NULL },
    { 't', NONE, take_extract },   { 'v', NONE, take_verbose },  { 'x', NONE, NULL },
};

#define ROWS (sizeof rows / sizeof *rows)

const char *options_letters(void)
{
    static char letters[ROWS * 2 + 1];
    char *p = letters;

    for (size_t i = 0; i < ROWS; i++) {
        *p++ = rows[i].letter;
        if (rows[i].value != NONE)
            *p++ = ':';
    }
    *p = '\0';
    return letters;
}

const char *options_ignored(void)
{
    static char letters[ROWS + 1];
    char *p = letters;

    for (size_t i = 0; i < ROWS; i++)
        if (!rows[i].take)
            *p++ = rows[i].letter;
    *p = '\0';
    return letters;
}

static const struct row *row_find(char letter)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].letter == letter)
            return &rows[i];
    return NULL;
}

/* One argument that begins with '-'; *next is the argument behind it and moves when it is used. */
static bool take_argument(struct options *o, const char *arg, char **argv, int *next, struct err *err)
{
    for (const char *p = arg + 1; *p; p++) {
        const struct row *r = row_find(*p);
        const char *value = "";

        if (!r)
            return err_set(err, ERR_PERM, "there is no option -%c", *p >= ' ' && *p < 127 ? *p : '?');
        if (r->value == NEEDED && !p[1] && !argv[*next])
            return err_set(err, ERR_PERM, "option -%c needs a value", *p);
        if (r->value == NEEDED && !p[1])
            value = argv[(*next)++];
        else if (r->value != NONE)
            value = p + 1;
        if (r->take && !r->take(o, value, err))
            return false;
        if (r->value != NONE)
            return true;
    }
    return true;
}

static enum sendmail_mode mode_of_name(const char *argv0)
{
    const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
    const char *name = slash ? slash + 1 : argv0 ? argv0 : "";

    if (strcmp(name, "mailq") == 0)
        return MODE_QUEUE;
    return strcmp(name, "newaliases") == 0 ? MODE_ALIASES : MODE_SUBMIT;
}

bool options_parse(int argc, char **argv, struct options *out, struct err *err)
{
    int i = 1;

    *out = (struct options){ .mode = mode_of_name(argv[0]) };
    while (i < argc && argv[i][0] == '-' && argv[i][1]) {
        const char *arg = argv[i++];

        if (strcmp(arg, "--") == 0)
            break;
        if (!take_argument(out, arg, argv, &i, err))
            return false;
    }
    out->rcpts = argv + i;
    out->rcpt_n = argc - i;
    return true;
}
