/* ctl.h - what an operator may ask of smtpd: the answers that a client would get */
#pragma once

struct conf;
struct loop;

void smtpd_ctl_client(struct loop *loop, const struct conf *conf, int fd); /* takes fd */
