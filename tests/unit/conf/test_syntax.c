/* test_syntax.c - what is no configuration at all, and the exact message */
#include "tests/unit/conf/mistakes.h"

static const struct mistake mistakes[] = {
    /* clang-format off */
    { "unclosed section",
      "hostname = mx.example.com\n"
      "relay {\n"
      "    from = [ 10.0.0.0/8 ]\n"
      "\n"
      "queue { warn_after = 1h }\n",
      "m.conf:2:7: section \"relay\" is not closed; a \"}\" is missing\n"
      "    relay {\n"
      "          ^\n" },
    { "unclosed section with a name",
      "listen smtp {\n"
      "    address = \"0.0.0.0:25\"\n",
      "m.conf:1:13: section \"listen smtp\" is not closed; a \"}\" is missing\n"
      "    listen smtp {\n"
      "                ^\n" },
    { "section in another",
      "relay { from = [ 10.0.0.0/8 ]\n"
      "listen smtp { address = \"0.0.0.0:25\" }\n"
      "}\n",
      "m.conf:2:1: section \"listen\" cannot stand in section \"relay\"; is a \"}\" missing "
      "before it?\n"
      "    listen smtp { address = \"0.0.0.0:25\" }\n"
      "    ^^^^^^\n" },
    { "nothing to close",
      "relay { }\n"
      "}\n",
      "m.conf:2:1: \"}\" without a section that it could close\n"
      "    }\n"
      "    ^\n" },
    { "unclosed list",
      "domains = [ a.example, b.example\n"
      "hostname = mx.example.com\n",
      "m.conf:2:1: expected \",\" or \"]\" before \"hostname\"; the list began at line 1\n"
      "    hostname = mx.example.com\n"
      "    ^^^^^^^^\n" },
    { "unclosed list at the end",
      "domains = [ a.example, b.example\n",
      "m.conf:1:11: this list is not closed; a \"]\" is missing before line 2, column 1\n"
      "    domains = [ a.example, b.example\n"
      "              ^\n" },
    { "unclosed list in a section",
      "relay { to = [ a.example }\n",
      "m.conf:1:14: this list is not closed; a \"]\" is missing before line 1, column 26\n"
      "    relay { to = [ a.example }\n"
      "                 ^\n" },
    { "missing comma",
      "domains = [ a.example b.example, c.example ]\n"
      "relai { }\n",
      "m.conf:1:23: expected \",\" or \"]\" before \"b.example\"\n"
      "    domains = [ a.example b.example, c.example ]\n"
      "                          ^^^^^^^^^\n"
      "m.conf:2:1: unknown section \"relai\"; did you mean \"relay\"?\n"
      "    relai { }\n"
      "    ^^^^^\n" },
    { "list in a list",
      "listen a { address = [ [::]:25 ] }\n",
      "m.conf:1:24: a list cannot stand in a list; an address with brackets must stand "
      "in double quotes\n"
      "    listen a { address = [ [::]:25 ] }\n"
      "                           ^\n" },
    { "two commas",
      "domains = [ a.example,, b.example ]\n",
      "m.conf:1:23: expected a value before \",\"\n"
      "    domains = [ a.example,, b.example ]\n"
      "                          ^\n" },
    { "unclosed string",
      "listen a { address = \"0.0.0.0:25 }\n",
      "m.conf:1:22: this string is not closed; a \" is missing before the end of the line\n"
      "    listen a { address = \"0.0.0.0:25 }\n"
      "                         ^\n" },
    { "unknown escape",
      "listen a { address = \"0.0.0.0:25\"  banner = \"a\\n\" }\n",
      "m.conf:1:47: unknown escape; a string knows \\\" and \\\\ only\n"
      "    listen a { address = \"0.0.0.0:25\"  banner = \"a\\n\" }\n"
      "                                                  ^\n" },
    { "control character",
      "log { to = \"/var/log/\007\" }\n",
      "m.conf:1:22: control character in a string\n"
      "    log { to = \"/var/log/?\" }\n"
      "                         ^\n" },
    { "semicolon",
      "hostname = mx.example.com;\n"
      "domains = a.example;\n",
      "m.conf:1:26: unexpected \";\"; statements need no separator\n"
      "    hostname = mx.example.com;\n"
      "                             ^\n"
      "m.conf:2:20: unexpected \";\"; statements need no separator\n"
      "    domains = a.example;\n"
      "                       ^\n" },
    { "colon",
      "hostname: mx.example.com\n",
      "m.conf:1:1: a name is followed by \"=\", not by \":\"; did you mean \"hostname = ...\"?\n"
      "    hostname: mx.example.com\n"
      "    ^^^^^^^^^\n" },
    { "no equals",
      "hostname mx.example.com\n"
      "domains = [ a.example ]\n",
      "m.conf:1:1: expected \"hostname = ...\" or \"hostname mx.example.com { ... }\"; a "
      "value with blanks must stand in double quotes\n"
      "    hostname mx.example.com\n"
      "    ^^^^^^^^\n" },
    { "lonely name",
      "hostname\n",
      "m.conf:1:1: expected \"hostname = ...\" or \"hostname { ... }\"\n"
      "    hostname\n"
      "    ^^^^^^^^\n" },
    { "no value",
      "hostname =\n"
      "domains = [ a.example ]\n",
      "m.conf:1:10: \"hostname\" has no value behind \"=\"\n"
      "    hostname =\n"
      "             ^\n" },
    { "no value at the end",
      "hostname =",
      "m.conf:1:10: \"hostname\" has no value behind \"=\"\n"
      "    hostname =\n"
      "             ^\n" },
    { "single quotes",
      "hostname = 'mx.example.com'\n",
      "m.conf:1:12: unexpected \"'\"; strings stand in double quotes\n"
      "    hostname = 'mx.example.com'\n"
      "               ^^^^^^^^^^^^^^^^\n" },
    { "parenthesis",
      "domains = (a.example)\n",
      "m.conf:1:11: unexpected \"(\"; a value with it must stand in double quotes\n"
      "    domains = (a.example)\n"
      "              ^\n"
      "m.conf:1:21: unexpected \")\"; a value with it must stand in double quotes\n"
      "    domains = (a.example)\n"
      "                        ^\n" },
    { "bare UTF-8",
      "domains = [ m\303\274ller.example ]\n",
      "m.conf:1:14: a word outside of ASCII must stand in double quotes\n"
      "    domains = [ m\303\274ller.example ]\n"
      "                 ^\n" },
    { "string for a name",
      "\"hostname\" = mx.example.com\n",
      "m.conf:1:1: expected a name before \"hostname\"\n"
      "    \"hostname\" = mx.example.com\n"
      "    ^^^^^^^^^^\n" },
    { "include in a section",
      "relay { include \"x\" }\n",
      "m.conf:1:9: include stands outside of sections only\n"
      "    relay { include \"x\" }\n"
      "            ^^^^^^^\n" },
    { "include of nothing",
      "include \"nothere.conf\"\n",
      "m.conf:1:9: nothere.conf: No such file or directory\n"
      "    include \"nothere.conf\"\n"
      "            ^^^^^^^^^^^^^^\n" },
    { "include of itself",
      "include \"m.conf\"\n",
      "m.conf:1:9: m.conf: includes itself\n"
      "    include \"m.conf\"\n"
      "            ^^^^^^^^\n" },
    { "byte order mark",
      "\357\273\277hostname = mx.example.com\n",
      "m.conf:1:1: the file begins with a byte order mark; save it without one\n"
      "    \357\273\277hostname = mx.example.com\n"
      "    ^\n" },
    { "bad UTF-8",
      "hostname = mx.ex\377ample.com\n",
      "m.conf:1:17: byte 0xff is not valid UTF-8\n"
      "    hostname = mx.ex?ample.com\n"
      "                    ^\n" },
    { "C1 control",
      "log { to = \"/var/\302\233x\" }\n",
      "m.conf:1:18: control character U+009B\n"
      "    log { to = \"/var/?x\" }\n"
      "                     ^\n" },
    { "bare CR",
      "hostname = mx.example.com\015domains = [ a.example ]\n",
      "m.conf:1:26: unexpected control character 0x0d\n"
      "    hostname = mx.example.com?domains = [ a.example ]\n"
      "                             ^\n" },
    { "nested too deep",
      "a { a { a { a { a { a { a { a { a { }}}}}}}}}\n",
      "m.conf:1:35: sections stand in each other 9 deep; that is too much\n"
      "    a { a { a { a { a { a { a { a { a { }}}}}}}}}\n"
      "                                      ^\n" },
    { "long line",
      "domains = [ d0.example, d1.example, d2.example, d3.example, d4.example, "
      "d5.example, d6.example, d7.example, d8.example, d9.example, d10.example, "
      "d11.example, d12.example, d13.example, bad..example, x.example, "
      "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy.example ]\n",
      "m.conf:1:185: \"bad..example\" is not a domain: two dots in a row, or a dot at an end\n"
      "    ...d11.example, d12.example, d13.example, bad..example, x.example, "
      "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...\n"
      "                                              ^^^^^^^^^^^^\n" },
    { "two mistakes",
      "relai { }\n"
      "queue { expire = 4d\n"
      "  reserve = 1T }\n",
      "m.conf:1:1: unknown section \"relai\"; did you mean \"relay\"?\n"
      "    relai { }\n"
      "    ^^^^^\n"
      "m.conf:2:9: unknown name \"expire\" in section \"queue\"; did you mean \"expire_after\"?\n"
      "    queue { expire = 4d\n"
      "            ^^^^^^\n"
      "m.conf:3:13: \"1T\" is not a size; write a number with k, M or G, such as 50M\n"
      "      reserve = 1T }\n"
      "                ^^\n" },
    { "nothing",
      "",
      "m.conf: says nothing; at least \"domains = [ example.com ]\" is needed\n" },
    { "only a comment",
      "# nothing\n",
      "m.conf: says nothing; at least \"domains = [ example.com ]\" is needed\n" },
    /* clang-format on */
};

static void tells_mistakes(void **state)
{
    (void)state;
    expect_mistakes(mistakes, COUNT(mistakes));
}

/* A NUL would end the table's text. */
static void refuses_nul(void **state)
{
    (void)state;
    struct buf got;
    buf_init(&got, 4096);
    expect_bool("loads", mistakes_load(strv_make("hostname = mx\0.example.com\n", 27), &got), false);
    expect_text("NUL", buf_view(&got), "m.conf:1:14: NUL byte; is this a text file?\n"
                                       "    hostname = mx?.example.com\n"
                                       "                 ^\n");
    buf_clear(&got);
}

static void stops_at_ten(void **state)
{
    (void)state;
    struct buf text, got;
    buf_init(&text, 4096);
    buf_init(&got, 8192);
    for (unsigned i = 1; i <= 13; i++)
        buf_addf(&text, "x%u = 1\n", i);
    expect_bool("loads", mistakes_load(buf_view(&text), &got), false);
    assert_non_null(
        strstr(buf_cstr(&got), "m.conf:10:1: unknown name \"x10\"\n    x10 = 1\n    ^^^\nand 3 more\n"));
    assert_null(strstr(buf_cstr(&got), "x11"));
    buf_clear(&text);
    buf_clear(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_mistakes),
        cmocka_unit_test(refuses_nul),
        cmocka_unit_test(stops_at_ten),
    };
    return cmocka_run_group_tests(tests, mistakes_setup, mistakes_teardown);
}
