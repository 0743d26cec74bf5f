/* Stands in until the layer server has its first source file. */
typedef int tenure_server_layer;
