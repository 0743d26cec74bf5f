/* Stands in until the layer store has its first source file. */
typedef int tenure_store_layer;
