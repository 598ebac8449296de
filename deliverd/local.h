/* local.h - a job for mailboxes of this host */
#pragma once

struct job;
struct local;

/* Begins; results go to the job, job_over follows from the loop. */
void local_start(struct job *j);
/* Only at exit: leaves everything without results. */
void local_free(struct local **l);
