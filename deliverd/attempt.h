/* attempt.h - one attempt to send a job to another host: route, hosts, connections, transactions */
#pragma once

struct attempt;
struct job;

/* Begins; results go to the job, job_over follows from the loop or, when the route itself says no, at once.
 */
void attempt_start(struct job *j);
/* Only at exit: leaves everything without results. */
void attempt_free(struct attempt **a);
