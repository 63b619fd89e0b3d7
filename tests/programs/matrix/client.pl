# Makes the calls of a job by Perl's HTTP::Tiny over IO::Socket::SSL: a process a connection.
#
# usage: client.pl PORT JOB     (JOB: a connection a line, see mixed/plan.rs)

use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP;
use MIME::Base64;

my ($port, $job) = @ARGV;

sub make {
    my ($http, $call) = @_;
    my %headers = map { $_->[0] => $_->[1] } @{ $call->{headers} };
    $headers{'x-plan'} = JSON::PP->new->encode($call->{plan});
    my $response = $http->request(
        $call->{method},
        "https://localhost:$port$call->{path}",
        {
            headers => \%headers,
            content => join('', map { decode_base64($_) } @{ $call->{body} }),
            data_callback => sub { },
        }
    );
    die "$call->{plan}{id}: $response->{status} " . ($response->{content} // '')
        if $response->{status} != $call->{plan}{status};
}

sub connection {
    my ($connection) = @_;
    my $http = HTTP::Tiny->new(
        keep_alive => 1,
        verify_SSL => 1,
        SSL_options => { SSL_ca_file => $ENV{SSL_CERT_FILE} },
    );
    make($http, $_) for @{ $connection->{calls} };
}

open(my $lines, '<', $job) or die "$job: $!";
my ($first, @others) = map { decode_json($_) } <$lines>;
connection($first);
my @children;
for my $other (@others) {
    my $child = fork();
    die "fork: $!" unless defined $child;
    if ($child == 0) {
        connection($other);
        exit 0;
    }
    push @children, $child;
}
my $failed = 0;
for my $child (@children) {
    waitpid($child, 0);
    $failed ||= $?;
}
exit($failed ? 1 : 0);
