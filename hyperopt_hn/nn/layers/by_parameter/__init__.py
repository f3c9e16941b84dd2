"""Parameters that respond wherever they are read, whatever the class of the module that holds them."""
