/* test_mistakes.c - one mistake of each kind in each section, with the exact message */
#include "tests/unit/conf/mistakes.h"

static const struct mistake mistakes[] = {
    /* clang-format off */
    { "top misspelled name",
      "hostnam = mx.example.com\n",
      "m.conf:1:1: unknown name \"hostnam\"; did you mean \"hostname\"?\n"
      "    hostnam = mx.example.com\n"
      "    ^^^^^^^\n" },
    { "top singular",
      "domain = [ example.com ]\n",
      "m.conf:1:1: unknown name \"domain\"; did you mean \"domains\"?\n"
      "    domain = [ example.com ]\n"
      "    ^^^^^^\n" },
    { "top short host name",
      "hostname = mx\n",
      "m.conf:1:12: \"mx\" is not a host name: it has no dot; the full name is needed, "
      "such as mx.example.com\n"
      "    hostname = mx\n"
      "               ^^\n" },
    { "top host name is an address",
      "hostname = 192.0.2.1\n",
      "m.conf:1:12: \"192.0.2.1\" is not a host name: it looks like an address\n"
      "    hostname = 192.0.2.1\n"
      "               ^^^^^^^^^\n" },
    { "top doubled",
      "hostname = mx.example.com\n"
      "hostname = mx.example.org\n",
      "m.conf:2:1: \"hostname\" is set already at m.conf:1\n"
      "    hostname = mx.example.org\n"
      "    ^^^^^^^^\n" },
    { "top doubled domain",
      "domains = [ a.example, b.example,\n"
      "\tA.example ]\n",
      "m.conf:2:2: domain \"a.example\" is listed twice\n"
      "    \tA.example ]\n"
      "    \t^^^^^^^^^\n" },
    { "top bad domain",
      "domains = [ a.example, b..example ]\n",
      "m.conf:1:24: \"b..example\" is not a domain: two dots in a row, or a dot at an end\n"
      "    domains = [ a.example, b..example ]\n"
      "                           ^^^^^^^^^^\n" },
    { "top international domain",
      "domains = [ \"m\303\274ller.example\" ]\n",
      "m.conf:1:13: \"m\303\274ller.example\" is not a domain: write an international name in "
      "its ASCII form, xn--...\n"
      "    domains = [ \"m\303\274ller.example\" ]\n"
      "                ^^^^^^^^^^^^^^^^\n" },
    { "listen misspelled field",
      "# \303\274\n"
      "listen a { banner = \"\303\274\303\274\"  adress = \"0.0.0.0:25\" }\n",
      "m.conf:2:27: unknown name \"adress\" in section \"listen\"; did you mean \"address\"?\n"
      "    listen a { banner = \"\303\274\303\274\"  adress = \"0.0.0.0:25\" }\n"
      "                              ^^^^^^\n" },
    { "listen wrong case of a unit",
      "listen smtp { address = \"0.0.0.0:25\"  timeout = 5M }\n",
      "m.conf:1:49: \"5M\" is not a time; write a number with s, m, h, d or w, such as "
      "5m; did you mean \"5m\"?\n"
      "    listen smtp { address = \"0.0.0.0:25\"  timeout = 5M }\n"
      "                                                    ^^\n" },
    { "listen unit of two letters",
      "listen smtp { address = \"0.0.0.0:25\"  max_message_size = 50MB }\n",
      "m.conf:1:58: \"50MB\" is not a size; write a number with k, M or G, such as 50M; "
      "did you mean \"50M\"?\n"
      "    listen smtp { address = \"0.0.0.0:25\"  max_message_size = 50MB }\n"
      "                                                             ^^^^\n" },
    { "listen below range",
      "listen smtp { address = \"0.0.0.0:25\"  max_recipients = 99 }\n",
      "m.conf:1:56: \"99\" is out of range; max_recipients goes from 100 to 100000\n"
      "    listen smtp { address = \"0.0.0.0:25\"  max_recipients = 99 }\n"
      "                                                           ^^\n" },
    { "listen unknown word",
      "listen smtp { address = \"0.0.0.0:25\"  tls = ofer }\n",
      "m.conf:1:45: \"ofer\" is not none, offer, require or implicit; did you mean \"offer\"?\n"
      "    listen smtp { address = \"0.0.0.0:25\"  tls = ofer }\n"
      "                                                ^^^^\n" },
    { "listen without port",
      "listen smtp { address = [ 192.0.2.1 ] }\n",
      "m.conf:1:27: \"192.0.2.1\" has no port; did you mean \"192.0.2.1:25\"?\n"
      "    listen smtp { address = [ 192.0.2.1 ] }\n"
      "                              ^^^^^^^^^\n" },
    { "listen IPv6 without port",
      "listen smtp { address = [ 2001:db8::1 ] }\n",
      "m.conf:1:27: \"2001:db8::1\" has no port; did you mean \"[2001:db8::1]:25\"?\n"
      "    listen smtp { address = [ 2001:db8::1 ] }\n"
      "                              ^^^^^^^^^^^\n" },
    { "listen without address",
      "listen smtp { tls = none }\n",
      "m.conf:1:1: section \"listen\" needs \"address\"\n"
      "    listen smtp { tls = none }\n"
      "    ^^^^^^\n" },
    { "listen without name",
      "listen { address = \"0.0.0.0:25\" }\n",
      "m.conf:1:1: a section \"listen\" needs a name: listen NAME { ... }\n"
      "    listen { address = \"0.0.0.0:25\" }\n"
      "    ^^^^^^\n" },
    { "listen twice on one address",
      "listen a { address = \"0.0.0.0:25\" }\n"
      "listen b { address = [ \"0.0.0.0:25\" ] }\n",
      "m.conf:2:24: 0.0.0.0:25 is listened on already by \"a\"\n"
      "    listen b { address = [ \"0.0.0.0:25\" ] }\n"
      "                           ^^^^^^^^^^^^\n" },
    { "listen TLS without certificate",
      "listen a { address = \"0.0.0.0:25\"  tls = offer }\n",
      "m.conf:1:42: TLS needs a certificate; add a section: tls { certificate = "
      "/path/cert.pem  key = /path/key.pem }\n"
      "    listen a { address = \"0.0.0.0:25\"  tls = offer }\n"
      "                                             ^^^^^\n" },
    { "listen short session",
      "listen a { address = \"0.0.0.0:25\"  session_timeout = 1m }\n",
      "m.conf:1:54: session_timeout is shorter than timeout\n"
      "    listen a { address = \"0.0.0.0:25\"  session_timeout = 1m }\n"
      "                                                         ^^\n" },
    { "relay bits behind the prefix",
      "relay {\n"
      "\tfrom = [ 10.0.0.1/8 ]\n"
      "}\n",
      "m.conf:2:11: \"10.0.0.1/8\" is not a network such as 10.0.0.0/8 or "
      "\"2001:db8::/32\": bits behind the prefix length are set\n"
      "    \tfrom = [ 10.0.0.1/8 ]\n"
      "    \t         ^^^^^^^^^^\n" },
    { "relay everybody",
      "relay { from = [ 0.0.0.0/0 ] }\n",
      "m.conf:1:18: this is every host of the Internet; an open relay is of use to spammers only\n"
      "    relay { from = [ 0.0.0.0/0 ] }\n"
      "                     ^^^^^^^^^\n" },
    { "relay is a section",
      "relay = yes\n",
      "m.conf:1:1: \"relay\" is a section: relay { ... }\n"
      "    relay = yes\n"
      "    ^^^^^\n" },
    { "relay own domain",
      "domains = a.example\n"
      "relay { to = [ a.example ] }\n",
      "m.conf:2:16: \"a.example\" is one of the own domains; mail for it ends here\n"
      "    relay { to = [ a.example ] }\n"
      "                   ^^^^^^^^^\n" },
    { "relay with a name",
      "relay x { }\n",
      "m.conf:1:7: section \"relay\" takes no name\n"
      "    relay x { }\n"
      "          ^\n" },
    { "relay doubled",
      "relay { }\n"
      "relay { }\n",
      "m.conf:2:1: section \"relay\" stands already at m.conf:1\n"
      "    relay { }\n"
      "    ^^^^^\n" },
    { "map unknown type",
      "map x { type = lmbd  source = /etc/passwd }\n",
      "m.conf:1:16: \"lmbd\" is not inline, text, aliases, lmdb or passwd; did you mean \"lmdb\"?\n"
      "    map x { type = lmbd  source = /etc/passwd }\n"
      "                   ^^^^\n" },
    { "map missing file",
      "map x { type = text  source = /etc/paswd }\n",
      "m.conf:1:31: /etc/paswd: No such file or directory; did you mean \"/etc/passwd\"?\n"
      "    map x { type = text  source = /etc/paswd }\n"
      "                                  ^^^^^^^^^^\n" },
    { "map source is a directory",
      "map x { type = text  source = /etc }\n",
      "m.conf:1:31: /etc is a directory, not a file\n"
      "    map x { type = text  source = /etc }\n"
      "                                  ^^^^\n" },
    { "map without source",
      "map x { type = text }\n",
      "m.conf:1:1: map \"x\" needs a source\n"
      "    map x { type = text }\n"
      "    ^^^\n" },
    { "map needless source",
      "map x { type = inline  source = /etc/passwd }\n",
      "m.conf:1:33: a map of this type has no source\n"
      "    map x { type = inline  source = /etc/passwd }\n"
      "                                    ^^^^^^^^^^^\n" },
    { "map without type",
      "map x { }\n",
      "m.conf:1:1: section \"map\" needs \"type\"\n"
      "    map x { }\n"
      "    ^^^\n" },
    { "map doubled",
      "map x { type = inline }\n"
      "map x { type = inline }\n",
      "m.conf:2:1: section \"map x\" stands already at m.conf:1\n"
      "    map x { type = inline }\n"
      "    ^^^\n" },
    { "map bad name",
      "map a.b { type = inline }\n",
      "m.conf:1:5: \"a.b\" cannot name a section \"map\"; it takes a name of letters, "
      "digits, \"-\" and \"_\"\n"
      "    map a.b { type = inline }\n"
      "        ^^^\n" },
    { "map bad entry",
      "map x { type = inline  entries = [ \"a b\", \"a\" ] }\n",
      "m.conf:1:43: \"a\" is not \"key value\"\n"
      "    map x { type = inline  entries = [ \"a b\", \"a\" ] }\n"
      "                                              ^^^\n" },
    { "address undefined map",
      "map aliases { type = inline }\n"
      "address { aliases = alaises }\n",
      "m.conf:2:21: there is no map \"alaises\"; did you mean \"aliases\"?\n"
      "    address { aliases = alaises }\n"
      "                        ^^^^^^^\n" },
    { "address list for one value",
      "address { extension = [ \"+\" ] }\n",
      "m.conf:1:23: address.extension takes one value, not a list\n"
      "    address { extension = [ \"+\" ] }\n"
      "                          ^\n" },
    { "address bad extension",
      "address { extension = \"a\" }\n",
      "m.conf:1:23: \"a\" cannot separate an extension; use one or more of + - _ = # ~ .\n"
      "    address { extension = \"a\" }\n"
      "                          ^^^\n" },
    { "address masquerade is a section",
      "address { masquerade = example.com }\n",
      "m.conf:1:11: address.masquerade is a section: masquerade { ... }\n"
      "    address { masquerade = example.com }\n"
      "              ^^^^^^^^^^\n" },
    { "address masquerade without as",
      "address { masquerade { from = [ a.example ] } }\n",
      "m.conf:1:11: section \"masquerade\" needs \"as\"\n"
      "    address { masquerade { from = [ a.example ] } }\n"
      "              ^^^^^^^^^^\n" },
    { "address masquerade misspelled",
      "address { masquerade { as = a.example  form = [ b.example ] } }\n",
      "m.conf:1:40: unknown name \"form\" in section \"masquerade\"; did you mean \"from\"?\n"
      "    address { masquerade { as = a.example  form = [ b.example ] } }\n"
      "                                           ^^^^\n" },
    { "mailbox unknown method",
      "mailbox { method = maildri }\n",
      "m.conf:1:20: \"maildri\" is not maildir, mbox, procmail, command, pipe or lmtp; did you mean "
      "\"maildir\"?\n"
      "    mailbox { method = maildri }\n"
      "                       ^^^^^^^\n" },
    { "mailbox LMTP without a server",
      "mailbox { method = lmtp }\n",
      "m.conf:1:20: this method needs a server, such as: via = \"unix:/run/dovecot/lmtp\"\n"
      "    mailbox { method = lmtp }\n"
      "                       ^^^^\n" },
    { "mailbox server without LMTP",
      "mailbox { via = \"unix:/run/lmtp\" }\n",
      "m.conf:1:17: only method = lmtp gives mail to a server\n"
      "    mailbox { via = \"unix:/run/lmtp\" }\n"
      "                    ^^^^^^^^^^^^^^^^\n" },
    { "mailbox LMTP server's socket is relative",
      "mailbox { method = lmtp  via = \"unix:run/lmtp\" }\n",
      "m.conf:1:32: \"run/lmtp\" is not an absolute path\n"
      "    mailbox { method = lmtp  via = \"unix:run/lmtp\" }\n"
      "                                   ^^^^^^^^^^^^^^^\n" },
    { "mailbox LMTP with a root",
      "mailbox { method = lmtp  via = \"imap.example:24\"  root = / }\n",
      "m.conf:1:58: the LMTP server knows where its mailboxes are\n"
      "    mailbox { method = lmtp  via = \"imap.example:24\"  root = / }\n"
      "                                                             ^\n" },
    { "mailbox value inside an argument",
      "mailbox { method = command  command = [ /bin/x, \"--to=%r\" ] }\n",
      "m.conf:1:49: %r must be an argument of its own\n"
      "    mailbox { method = command  command = [ /bin/x, \"--to=%r\" ] }\n"
      "                                                    ^^^^^^^^^\n" },
    { "mailbox unknown value",
      "mailbox { method = command  command = [ /bin/x, %q ] }\n",
      "m.conf:1:49: \"%q\" is none of %u (user), %d (domain), %x (extension), %s (sender), %r (recipient)\n"
      "    mailbox { method = command  command = [ /bin/x, %q ] }\n"
      "                                                    ^^\n" },
    { "mailbox program without a path",
      "mailbox { method = command  command = [ procmail ] }\n",
      "m.conf:1:41: a program is given by its absolute path\n"
      "    mailbox { method = command  command = [ procmail ] }\n"
      "                                            ^^^^^^^^\n" },
    { "mailbox pipe as root",
      "mailbox { method = pipe  command = [ /bin/x ]  user = root }\n",
      "m.conf:1:55: commands never run as root\n"
      "    mailbox { method = pipe  command = [ /bin/x ]  user = root }\n"
      "                                                          ^^^^\n" },
    { "mailbox root uid",
      "mailbox { uid_min = 0 }\n",
      "m.conf:1:21: \"0\" is out of range; uid_min goes from 1 to 4294967294\n"
      "    mailbox { uid_min = 0 }\n"
      "                        ^\n" },
    { "mailbox root by name",
      "mailbox { uid_exceptions = [ root ] }\n",
      "m.conf:1:30: mail for root cannot be written as root; give root an alias\n"
      "    mailbox { uid_exceptions = [ root ] }\n"
      "                                 ^^^^\n" },
    { "mailbox foreign domain",
      "domains = [ example.com ]\n"
      "mailbox { domains = [ exmaple.com ] }\n",
      "m.conf:2:23: \"exmaple.com\" is not one of the own domains; did you mean \"example.com\"?\n"
      "    mailbox { domains = [ exmaple.com ] }\n"
      "                          ^^^^^^^^^^^\n" },
    { "mailbox virtual without root",
      "map v { type = inline }\n"
      "mailbox { lookup = v }\n",
      "m.conf:2:20: virtual mailboxes need a root, such as: root = /var/mail/virtual\n"
      "    mailbox { lookup = v }\n"
      "                       ^\n" },
    { "mailbox missing root",
      "map v { type = inline }\n"
      "mailbox { lookup = v  root = /etc/paswd.d/x }\n",
      "m.conf:2:30: /etc/paswd.d/x: No such file or directory\n"
      "    mailbox { lookup = v  root = /etc/paswd.d/x }\n"
      "                                 ^^^^^^^^^^^^^^\n" },
    { "mailbox root of system users",
      "mailbox { root = /etc }\n",
      "m.conf:1:18: mailboxes of system users lie where path says; root is for virtual "
      "mailboxes, which need a lookup\n"
      "    mailbox { root = /etc }\n"
      "                     ^^^^\n" },
    { "mailbox relative path",
      "mailbox { path = Maildir }\n",
      "m.conf:1:18: the mailbox of a system user lies below the home, such as \"~/Maildir\"\n"
      "    mailbox { path = Maildir }\n"
      "                     ^^^^^^^\n" },
    { "mailbox path that climbs",
      "mailbox { path = \"~/../Maildir\" }\n",
      "m.conf:1:18: \"~/../Maildir\" is not a path that can be used: \"..\" in it\n"
      "    mailbox { path = \"~/../Maildir\" }\n"
      "                     ^^^^^^^^^^^^^^\n" },
    { "mailbox path below a root",
      "map v { type = inline }\n"
      "mailbox v { lookup = v  root = /etc  path = x }\n",
      "m.conf:2:45: the value that lookup finds says where below root a mailbox lies; "
      "path is for those of system users\n"
      "    mailbox v { lookup = v  root = /etc  path = x }\n"
      "                                                ^\n" },
    { "mailbox postmaster at home",
      "mailbox postmaster { root = /etc  path = \"~/x\" }\n",
      "m.conf:1:42: postmaster's mailbox lies below root; write a relative path\n"
      "    mailbox postmaster { root = /etc  path = \"~/x\" }\n"
      "                                             ^^^^^\n" },
    { "mailbox absolute path",
      "mailbox { path = /var/mail }\n",
      "m.conf:1:18: \"/var/mail\" is not a path below the home, such as \"~/Maildir\"\n"
      "    mailbox { path = /var/mail }\n"
      "                     ^^^^^^^^^\n" },
    { "mailbox two without name",
      "mailbox { }\n"
      "mailbox { }\n",
      "m.conf:2:1: section \"mailbox\" stands already at m.conf:1\n"
      "    mailbox { }\n"
      "    ^^^^^^^\n" },
    { "route bad label",
      "route example..com { }\n",
      "m.conf:1:7: \"example..com\" cannot name a section \"route\"; it takes a domain, "
      "\".domain\" for its subdomains, or \"default\"\n"
      "    route example..com { }\n"
      "          ^^^^^^^^^^^^\n" },
    { "route bad port",
      "route default { via = \"smtp.example.net:http\" }\n",
      "m.conf:1:23: \"smtp.example.net:http\" is not a host with a port from 1 to 65535, "
      "such as \"smtp.example.net:587\"\n"
      "    route default { via = \"smtp.example.net:http\" }\n"
      "                          ^^^^^^^^^^^^^^^^^^^^^^^\n" },
    { "route with credentials that are not there",
      "route default { via = mx.isp  tls = require  auth = isp }\n",
      "m.conf:1:53: there is no section secret isp; add: secret isp { user = \"...\"  file = /path }\n"
      "    route default { via = mx.isp  tls = require  auth = isp }\n"
      "                                                        ^^^\n" },
    { "route with credentials for everybody",
      "route default { tls = require  auth = isp }\nsecret isp { file = /etc/hostname }\n",
      "m.conf:1:39: a login is for one server: say which one with via\n"
      "    route default { tls = require  auth = isp }\n"
      "                                          ^^^\n" },
    { "route with credentials in the clear",
      "route default { via = mx.isp.example  auth = isp }\nsecret isp { file = /etc/hostname }\n",
      "m.conf:1:46: a password travels to servers that are verified; add: tls = require (or implicit, for "
      "port 465)\n"
      "    route default { via = mx.isp.example  auth = isp }\n"
      "                                                 ^^^\n" },
    { "route with a key alone",
      "route default { key = /etc/hostname }\n",
      "m.conf:1:23: a key needs its certificate; add: certificate = /path/cert.pem\n"
      "    route default { key = /etc/hostname }\n"
      "                          ^^^^^^^^^^^^^\n" },
    { "secret without a file",
      "secret isp { user = me }\n",
      "m.conf:1:1: section \"secret\" needs \"file\"\n"
      "    secret isp { user = me }\n"
      "    ^^^^^^\n" },
    { "route mistyped address",
      "route default { via = 192.0.2.256 }\n",
      "m.conf:1:23: \"192.0.2.256\" is not a host, an address (IPv6 in brackets) or "
      "either with a port: it looks like an address\n"
      "    route default { via = 192.0.2.256 }\n"
      "                          ^^^^^^^^^^^\n" },
    { "route family",
      "route default { via = 192.0.2.1  family = ipv6 }\n",
      "m.conf:1:23: this address is not of the route's family\n"
      "    route default { via = 192.0.2.1  family = ipv6 }\n"
      "                          ^^^^^^^^^\n" },
    { "route with two sources of a family",
      "route default { source = [192.0.2.1, \"2001:db8::1\", 192.0.2.2] }\n",
      "m.conf:1:53: there is an IPv4 address already: one of each family\n"
      "    route default { source = [192.0.2.1, \"2001:db8::1\", 192.0.2.2] }\n"
      "                                                        ^^^^^^^^^\n" },
    { "route with a source of the other family",
      "route default { source = \"2001:db8::1\"  family = ipv4 }\n",
      "m.conf:1:26: this address is not of the route's family\n"
      "    route default { source = \"2001:db8::1\"  family = ipv4 }\n"
      "                             ^^^^^^^^^^^^^\n" },
    { "route with a source of another family than its host",
      "route default { via = 192.0.2.1  source = \"2001:db8::1\" }\n",
      "m.conf:1:43: no connection to the address of via leaves from an IPv6 address\n"
      "    route default { via = 192.0.2.1  source = \"2001:db8::1\" }\n"
      "                                              ^^^^^^^^^^^^^\n" },
    { "route with a source that leads nowhere",
      "route default { source = \"fe80::1\" }\n",
      "m.conf:1:26: a link-local address reaches no other network\n"
      "    route default { source = \"fe80::1\" }\n"
      "                             ^^^^^^^^^\n" },
    { "route with a source and a port",
      "route default { source = 192.0.2.1:25 }\n",
      "m.conf:1:26: \"192.0.2.1:25\" is not an address without a port\n"
      "    route default { source = 192.0.2.1:25 }\n"
      "                             ^^^^^^^^^^^^\n" },
    { "route doubled in another case",
      "route A.example { }\n"
      "route a.example { }\n",
      "m.conf:2:1: section \"route a.example\" stands already at m.conf:1\n"
      "    route a.example { }\n"
      "    ^^^^^\n" },
    { "queue word for a unit",
      "queue { expire_after = 4days }\n",
      "m.conf:1:24: \"4days\" is not a time; write a number with s, m, h, d or w, such "
      "as 5m; did you mean \"4d\"?\n"
      "    queue { expire_after = 4days }\n"
      "                           ^^^^^\n" },
    { "queue no number",
      "queue { retry = [ 5m, soon ] }\n",
      "m.conf:1:23: \"soon\" is not a time; write a number with s, m, h, d or w, such as 5m\n"
      "    queue { retry = [ 5m, soon ] }\n"
      "                          ^^^^\n" },
    { "queue order",
      "queue { warn_after = 5d }\n",
      "m.conf:1:22: warn_after is not before expire_after\n"
      "    queue { warn_after = 5d }\n"
      "                         ^^\n" },
    { "queue double bounce",
      "queue { notices { double_bounce = \"not an address\" } }\n",
      "m.conf:1:35: \"not an address\" is no address\n"
      "    queue { notices { double_bounce = \"not an address\" } }\n"
      "                                      ^^^^^^^^^^^^^^^^\n" },
    { "queue empty retry",
      "queue { retry = [ ] }\n",
      "m.conf:1:9: retry needs one time at least\n"
      "    queue { retry = [ ] }\n"
      "            ^^^^^\n" },
    { "queue too long",
      "queue { expire_after = 9999999999999999999d }\n",
      "m.conf:1:24: \"9999999999999999999d\" is out of range; expire_after goes from 1s to 366d\n"
      "    queue { expire_after = 9999999999999999999d }\n"
      "                           ^^^^^^^^^^^^^^^^^^^^\n" },
    { "log unknown level",
      "log { level = inof }\n",
      "m.conf:1:15: \"inof\" is not error, warn, info or debug; did you mean \"info\"?\n"
      "    log { level = inof }\n"
      "                  ^^^^\n" },
    { "log nowhere",
      "log { to = sylog }\n",
      "m.conf:1:12: \"sylog\" is not syslog, stderr or an absolute path\n"
      "    log { to = sylog }\n"
      "               ^^^^^\n" },
    { "dns foreign boolean",
      "dns { trust_ad = true }\n",
      "m.conf:1:18: \"true\" is not yes or no; did you mean \"yes\"?\n"
      "    dns { trust_ad = true }\n"
      "                     ^^^^\n" },
    { "dns name of a server",
      "dns { servers = [ localhost ] }\n",
      "m.conf:1:19: \"localhost\" is not an address with a port, such as \"192.0.2.1:53\" "
      "or \"[::1]:53\"; the port may be left out\n"
      "    dns { servers = [ localhost ] }\n"
      "                      ^^^^^^^^^\n" },
    { "users root",
      "users { smtpd = root }\n",
      "m.conf:1:17: no daemon but mtad may run as root\n"
      "    users { smtpd = root }\n"
      "                    ^^^^\n" },
    { "users shared",
      "users { smtpd = mail  mapd = mail }\n",
      "m.conf:1:30: \"mail\" is the user of smtpd already; each needs its own, or they "
      "could touch each other\n"
      "    users { smtpd = mail  mapd = mail }\n"
      "                                 ^^^^\n" },
    { "tls without certificate",
      "tls { key = /etc/passwd }\n",
      "m.conf:1:13: a key needs its certificate; add: certificate = /path/cert.pem\n"
      "    tls { key = /etc/passwd }\n"
      "                ^^^^^^^^^^^\n" },
    { "auth without users",
      "tls { certificate = /etc/passwd }\nlisten a { address = \"0.0.0.0:25\"  tls = offer  auth = offer }\n",
      "m.conf:2:56: AUTH needs the passwords of users; add a section: auth { users = NAME_OF_A_MAP }\n"
      "    listen a { address = \"0.0.0.0:25\"  tls = offer  auth = offer }\n"
      "                                                           ^^^^^\n" },
    { "auth without TLS",
      "auth { users = u }\nmap u { type = inline }\n"
      "listen a { address = \"0.0.0.0:25\"  auth = offer }\n",
      "m.conf:3:43: passwords travel under TLS only; add: tls = require (or implicit, for port 465)\n"
      "    listen a { address = \"0.0.0.0:25\"  auth = offer }\n"
      "                                              ^^^^^\n" },
    { "auth with system users",
      "auth { users = passwd }\n",
      "m.conf:1:16: a map of this type holds no secrets; text or lmdb does\n"
      "    auth { users = passwd }\n"
      "                   ^^^^^^\n" },
    { "tls word cut short",
      "tls { cert = /etc/passwd }\n",
      "m.conf:1:7: unknown name \"cert\" in section \"tls\"; did you mean \"certificate\"?\n"
      "    tls { cert = /etc/passwd }\n"
      "          ^^^^\n" },
    { "tls relative paths",
      "tls { certificate = cert.pem  key = key.pem }\n",
      "m.conf:1:21: \"cert.pem\" is not an absolute path\n"
      "    tls { certificate = cert.pem  key = key.pem }\n"
      "                        ^^^^^^^^\n"
      "m.conf:1:37: \"key.pem\" is not an absolute path\n"
      "    tls { certificate = cert.pem  key = key.pem }\n"
      "                                        ^^^^^^^\n" },
    { "processes above range",
      "processes { smtpd = 65 }\n",
      "m.conf:1:21: \"65\" is out of range; smtpd goes from 0 to 64\n"
      "    processes { smtpd = 65 }\n"
      "                        ^^\n" },
    { "field of another section",
      "directory = /var/spool/x\n"
      "relay { hostname = mx.example.com }\n",
      "m.conf:1:1: unknown name \"directory\"; it belongs into section \"queue\"\n"
      "    directory = /var/spool/x\n"
      "    ^^^^^^^^^\n"
      "m.conf:2:9: unknown name \"hostname\" in section \"relay\"; it stands outside of sections\n"
      "    relay { hostname = mx.example.com }\n"
      "            ^^^^^^^^\n" },
    { "value written as a section",
      "hostname { }\n",
      "m.conf:1:1: hostname is a value, not a section: hostname = ...\n"
      "    hostname { }\n"
      "    ^^^^^^^^\n" },
    { "unknown section",
      "relais { from = [ 10.0.0.0/8 ] }\n",
      "m.conf:1:1: unknown section \"relais\"; did you mean \"relay\"?\n"
      "    relais { from = [ 10.0.0.0/8 ] }\n"
      "    ^^^^^^\n" },
    /* clang-format on */
};

static void tells_mistakes(void **state)
{
    (void)state;
    expect_mistakes(mistakes, COUNT(mistakes));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tells_mistakes) };
    return cmocka_run_group_tests(tests, mistakes_setup, mistakes_teardown);
}
