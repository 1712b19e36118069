# Runs Net::Stomp for the scenarios of drivers/scenarios.py, as drivers-node/main.mjs does with JavaScript's clients:
#
#     perl main.pl ADAPTER URL VERSION OPTIONS
#
# The adapter is always `Net::Stomp`, and there are no options. The library waits in every call, so there is one loop
# that looks at standard input and at all connections.

use strict;
use warnings;
use IO::Select;
use JSON::PP;
use MIME::Base64;
use Net::Stomp;

my ( undef, $url, $stomp ) = @ARGV;
my ( $host, $port ) = $url =~ m{^tcp://([^:/]+):([0-9]+)} or die "no address: $url";
my $json = JSON::PP->new->utf8->canonical;
my $input = IO::Select->new( \*STDIN );
my ( %clients, $questions );

sub say_it {
    syswrite STDOUT, $json->encode( {@_} ) . "\n";
}

sub tell_of {
    my ( $number, $event, @values ) = @_;
    say_it( client => $number, event => $event, values => \@values );
}

# Header values and names are bytes here, and text in JSON.
sub as_text {
    my ($headers) = @_;
    return { map { my $value = $_; utf8::decode($value); $value } %$headers };
}

sub as_bytes {
    my ($headers) = @_;
    return map { my $value = $_; utf8::encode($value); $value } %$headers;
}

my %methods = (
    connect => sub {
        my ( $client, $login, $passcode, $heart_beat, $headers ) = @_;
        my $library = Net::Stomp->new( { hostname => $host, port => $port, reconnect_attempts => 1, connect_delay => 0 } );
        my %more = $stomp eq '1.0' ? () : ( 'accept-version' => $stomp, host => '/', 'heart-beat' => join( ',', @$heart_beat ) );
        my %login = ( ( defined $login ? ( login => $login ) : () ), ( defined $passcode ? ( passcode => $passcode ) : () ) );
        my $frame = $library->connect( { %login, %more, as_bytes($headers) } );
        die { refused => $frame ? $frame->headers->{message} : 'no answer' } unless $frame && $frame->command eq 'CONNECTED';
        $client->{library} = $library;
        tell_of( $client->{number}, 'connected', as_text( $frame->headers ) );
    },
    subscribe => sub {
        my ( $client, $destination, $id, $ack, $headers ) = @_;
        $client->{destinations}{ $id // $destination } = { destination => $destination, defined $id ? ( id => $id ) : () };
        my %identity = %{ $client->{destinations}{ $id // $destination } };
        $client->{library}->subscribe( { %identity, ack => $ack, as_bytes($headers) } );
    },
    unsubscribe => sub {
        my ( $client, $id, $headers ) = @_;
        $client->{library}->unsubscribe( { %{ $client->{destinations}{$id} }, as_bytes($headers) } );
    },
    send => sub {
        my ( $client, $destination, $body, $headers ) = @_;
        my %content = ( body => decode_base64($body), bytes_message => 1 );
        $client->{library}->send( { destination => $destination, as_bytes($headers), %content } );
    },
    ack  => sub { my ( $client, @rest ) = @_; $client->{library}->ack( culprit( $client, @rest ) ) },
    nack => sub { my ( $client, @rest ) = @_; $client->{library}->nack( culprit( $client, @rest ) ) },
    begin  => sub { transaction( 'BEGIN',  @_ ) },
    commit => sub { transaction( 'COMMIT', @_ ) },
    abort  => sub { transaction( 'ABORT',  @_ ) },
    leave  => sub {
        my ($client) = @_;
        $client->{library}->disconnect;
        lost($client);
    },
    drop => sub {
        my ($client) = @_;
        $client->{library}->socket->close unless $client->{lost};
        lost($client);
    },
);

sub culprit {
    my ( $client, $key, $headers ) = @_;
    my $frame        = $client->{messages}[ $key - 1 ];
    my $subscription = $frame->headers->{subscription};
    return { frame => $frame, defined $subscription ? ( subscription => $subscription ) : (), as_bytes($headers) };
}

sub transaction {
    my ( $command, $client, $name ) = @_;
    my $frame = Net::Stomp::Frame->new( { command => $command, headers => { transaction => $name } } );
    $client->{library}->send_frame($frame);
}

sub lost {
    my ($client) = @_;
    tell_of( $client->{number}, 'lost', 0, '' ) unless $client->{lost}++;
}

# All that has come for one client.
sub listen_to {
    my ($client) = @_;
    my $library = $client->{library};
    while ( !$client->{lost} && $library->can_read( { timeout => 0 } ) ) {
        my $frame = $library->receive_frame( { timeout => 0 } );
        if ($frame) { heard( $client, $frame ) }
        elsif ( !$library->socket->opened ) { lost($client) }
    }
}

sub heard {
    my ( $client, $frame ) = @_;
    my $headers = as_text( $frame->headers );
    my $body    = encode_base64( $frame->body // '', '' );
    if ( $frame->command eq 'MESSAGE' ) {
        push @{ $client->{messages} }, $frame;
        tell_of( $client->{number}, 'message', $headers, $body, scalar @{ $client->{messages} } );
    }
    elsif ( $frame->command eq 'RECEIPT' ) { tell_of( $client->{number}, 'receipt', $headers->{'receipt-id'}, $headers ) }
    elsif ( $frame->command eq 'ERROR' )   { tell_of( $client->{number}, 'error', $headers, $body ) }
}

sub answer {
    my ($question) = @_;
    my $number = $question->{client};
    my $client = $clients{$number} //= { number => $number, messages => [] };
    if ( eval { $methods{ $question->{method} }->( $client, @{ $question->{arguments} } ); 1 } ) {
        say_it( answer => $question->{call}, value => undef );
    }
    elsif ( ref $@ ) { say_it( answer => $question->{call}, %{ $@ } ) }
    else             { say_it( answer => $question->{call}, error => "$@" ) }
}

say_it( hearsBeats => JSON::PP::false, confirms => JSON::PP::false, escapable => $stomp eq '1.0' ? ':' : '' );
while (1) {
    my @present = grep { $_->{library} && !$_->{lost} } values %clients;
    IO::Select->new( \*STDIN, map { $_->{library}->socket } @present )->can_read;
    if ( $input->can_read(0) ) {
        sysread( STDIN, $questions, 65_536, length( $questions // '' ) ) or last;
        answer( $json->decode($1) ) while $questions =~ s/^(.*)\n//;
    }
    listen_to($_) for grep { $_->{library} && !$_->{lost} } values %clients;
}
