/* Stands in until the layer client has its first source file. */
typedef int tenure_client_layer;
