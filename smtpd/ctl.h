/* ctl.h - what an operator may ask of smtpd: the answers that a client would get */
#pragma once

#include <stdbool.h>

struct conf;
struct loop;

/* Takes fd. tls: there is a certificate to begin TLS with. */
void smtpd_ctl_client(struct loop *loop, const struct conf *conf, bool tls, int fd);
