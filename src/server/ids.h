/*
 * ids.h - numbers and names that clients expect of a one-node cluster.
 *
 * Purpose    Named once, shown by the SPU object and used by every replica
 *            map. Constants only.
 */
#ifndef FLV_SERVER_IDS_H
#define FLV_SERVER_IDS_H

#define FLV_SPU_ID 5001
#define FLV_SPU_NAME "custom-spu-5001"
#define FLV_SC_PORT_DEFAULT 9003
#define FLV_SPU_PORT_DEFAULT 9010
/* Shown in the SPU object; nobody listens there. */
#define FLV_SPU_PRIVATE_PORT 9011

#define FLV_SEGMENT_BYTES_MAX 2147483647u

#endif
