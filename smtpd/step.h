/* step.h - what the caller of the engine does next */
#pragma once

enum engine_step {
    STEP_NEXT,  /* go on (between engine parts only) */
    STEP_READ,  /* more input is needed */
    STEP_WAIT,  /* an answer is awaited; engine_input does nothing until it came */
    STEP_STALL, /* the transaction has no room: call engine_input again when it has */
    STEP_TLS,   /* send what was written, then begin TLS; engine_secured when it is up */
    STEP_FLUSH, /* enough replies for one write: send them, then engine_input again */
    STEP_CLOSE, /* send what was written, then close */
};
