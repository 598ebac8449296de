/* smtp.h - sendmail -bs: SMTP on standard input and output, as some mail readers want it */
#pragma once

struct person;

/* Until QUIT or the end of the input; the status to exit with. */
int smtp_run(const char *conf, const struct person *who);
