/* For a process that goes on alone: a descriptor of its parent's kept open would outlive its owner. */
#ifndef CLI_DESCRIPTORS_H
#define CLI_DESCRIPTORS_H

/* Closes those from first to last that are open, first and last included; also where the system has no call for it. One thread. */
void descriptors_close(unsigned first, unsigned last);

#endif
