/* dsn_builtin.c - what notices say when no file says it otherwise; etc/notices.txt shows the same */
#include "common/mail/dsn_builtin.h"

#define OF_HOST "This is the mail system at host ${hostname}.\n\n"
#define ABOUT   "Its identification here is ${id}.\n\n${recipients}\n"

const char dsn_builtin[] =
    "[failure]\n"
    "Subject: Undelivered mail returned to sender\n"
    "From: Mail Delivery System\n\n" OF_HOST
    "The message below could not be delivered to the following recipients, and no more\n"
    "attempts will be made.\n" ABOUT "[delay]\n"
    "Subject: Delivery delayed (still being retried)\n"
    "From: Mail Delivery System\n\n" OF_HOST
    "The message below has not been delivered yet. This is a warning only: you need not\n"
    "send it again, further attempts will be made.\n" ABOUT "[success]\n"
    "Subject: Successful mail delivery report\n"
    "From: Mail Delivery System\n\n" OF_HOST
    "The message below was delivered to the following recipients.\n" ABOUT "[relayed]\n"
    "Subject: Successful mail relay report\n"
    "From: Mail Delivery System\n\n" OF_HOST
    "The message below was passed to servers that send no delivery reports.\n" ABOUT "[expanded]\n"
    "Subject: Successful mail expansion report\n"
    "From: Mail Delivery System\n\n" OF_HOST
    "The message below was sent to the members of the following lists.\n" ABOUT "[double]\n"
    "Subject: Undelivered notice, for the postmaster\n"
    "From: Mail Delivery System\n\n" OF_HOST
    "The notice below could not be delivered to the sender of the mail that it is about.\n"
    "Nobody else is told.\n" ABOUT;
