/* command.h - an SMTP command line into verb and argument */
#pragma once

#include "common/base/strv.h"

#define COMMAND_LINE_MAX 2048   /* without CRLF; RFC 5321 4.5.3.1.4 says 512, every extension adds to it */
#define COMMAND_VERB_MAX 16

/* Takes a line without its CRLF. verb: 1..16 letters (compare with strv_iis); argument: what follows the
   blanks behind it, trailing blanks removed (RFC 5321 4.1.1 wants these tolerated); empty when there is
   none. False for everything else: empty lines, leading blanks, digits or controls in the verb. */
bool command_split(struct strv line, struct strv *verb, struct strv *argument);

/* True when all bytes are printable ASCII or, with utf8, valid UTF-8 without controls. */
bool command_is_clean(struct strv line, bool utf8);
