/* command.h - are the programs of mailbox sections there? */
#pragma once

struct host;

/* Says file:line and what is wrong for each program that cannot be executed: its mail is deferred until it
   can be, so this is a warning. */
void command_check_all(const struct host *h, void (*warn)(const char *text));
